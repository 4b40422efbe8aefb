"""A user's Python file, and an object in it, by name.

What cannot be loaded is a sentence with the nearest names.
"""

import pickle
import sys

import pytest
from palaestra.tasks import UserError
from palaestra.tasks.core.modules import load_module, load_only, resolve


@pytest.fixture
def loss_file(tmp_path):
    path = tmp_path / "my_loss.py"
    path.write_text("class Loss:\n    pass\n\n\ndef clipped(x):\n    return min(x, 1)\n")
    return path


def test_a_file_is_a_module_with_a_name_that_stays(loss_file):
    first = load_module(loss_file, "loss")
    assert load_module(loss_file.parent / "." / "my_loss.py", "loss").__name__ == first.__name__
    assert first.clipped(3) == 1


def test_what_is_pickled_from_it_is_found_again(loss_file):
    module = load_module(loss_file, "loss")
    assert isinstance(pickle.loads(pickle.dumps(module.Loss())), module.Loss)


def test_a_changed_file_counts(loss_file):
    load_module(loss_file, "loss")
    loss_file.write_text("clipped = 'a longer text than before'\n")
    assert load_module(loss_file, "loss").clipped == "a longer text than before"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("def (", "SyntaxError"),
        ("import no_such_module_x", "ModuleNotFoundError: No module named 'no_such_module_x'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
)
def test_a_file_that_raises_is_a_sentence_and_leaves_no_module(tmp_path, text, says):
    path = tmp_path / "broken.py"
    path.write_text(text)
    before = set(sys.modules)
    with pytest.raises(UserError, match=says) as caught:
        load_module(path, "loss")
    assert str(path) in str(caught.value)
    assert set(sys.modules) == before


def test_a_file_that_is_not_there_is_a_sentence_with_the_nearest(loss_file):
    with pytest.raises(UserError, match=r"no loss file .*my_los\.py\. Did you mean my_loss\.py\?"):
        load_module(loss_file.parent / "my_los.py", "loss")
    with pytest.raises(UserError, match="Give the path of an existing Python file"):
        load_module(loss_file.parent / "zzz" / "other.py", "loss")
    with pytest.raises(UserError, match="no loss file"):
        load_module(loss_file.parent, "loss")


def test_a_file_that_is_no_python_is_a_sentence(tmp_path):
    path = tmp_path / "loss.txt"
    path.write_text("x = 1")
    with pytest.raises(UserError, match=r"must end with \.py"):
        load_module(path, "loss")


def test_an_object_is_found_in_a_file_and_in_a_module(loss_file):
    assert resolve(f"{loss_file}:clipped", "loss")(3) == 1
    assert resolve(str(loss_file), "loss", "clipped")(3) == 1
    assert resolve(f"{loss_file}:Loss", "loss", "clipped").__name__ == "Loss"
    assert resolve("palaestra.tasks.core.modules:resolve", "loss") is resolve
    assert resolve("palaestra.tasks.core.modules", "loss", "resolve") is resolve


def test_the_only_object_of_a_kind_in_a_file_is_found(loss_file):
    loss_file.write_text("from collections import OrderedDict\nclass Mine(OrderedDict): pass\nSame = Mine\n")
    found = load_only(loss_file, "loss", lambda value: isinstance(value, type), "class")
    assert found.__name__ == "Mine", "what it imports is not its own"
    with pytest.raises(UserError, match=r"should define one number; it has none: say .*my_loss\.py:name"):
        load_only(loss_file, "loss", lambda value: isinstance(value, float), "number")


def test_the_article_suits_the_noun():
    with pytest.raises(UserError, match="to take an algorithm from"):
        resolve("zzzzzzzzzz.inner:x", "algorithm")


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("{file}:cliped", "has no 'cliped' to take as loss. Did you mean clipped?"),
        ("{file}:zzz", "has no 'zzz' to take as loss. It has Loss, clipped: name one of them."),
        ("{file}", "names no object. Write FILE.py:name or package.module:name."),
        ("{file}:", "names no object"),
        (":clipped", "names no object"),
        ("", "names no object"),
        (
            "palaestra.tasks.core.module:resolve",
            "no module palaestra.tasks.core.module to take a loss from. Did you mean",
        ),
        ("palaestra.task:get", "Did you mean palaestra.tasks?"),
        ("jsn:loads", "Did you mean json"),
        ("zzzzzzzzzz.inner:x", "no module zzzzzzzzzz to take a loss from. Give an installed module"),
        ("json.decoder.x:y", "no module json.decoder.x"),
    ],
)
def test_what_is_not_there_is_a_sentence_with_the_nearest(loss_file, spec, says):
    with pytest.raises(UserError) as caught:
        resolve(spec.format(file=loss_file), "loss")
    assert says in str(caught.value)


@pytest.mark.parametrize("text", ["1 / 0", "import no_such_module_x", "raise SystemExit"])
def test_a_module_that_raises_is_a_sentence(tmp_path, monkeypatch, text):
    (tmp_path / "their_broken_losses.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match="Module their_broken_losses could not be loaded: "):
        resolve("their_broken_losses:x", "loss")
