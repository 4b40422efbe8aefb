"""The table of loss kinds, and kinds of one's own: found, refused with a sentence, trained with."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.config.objective import AdvantageConfig, LossConfig
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.objective.checks import check
from palaestra.trainer.objective.formula import write_formula
from palaestra.trainer.objective.kinds import KINDS, find_kind
from palaestra.trainer.objective.probe import probe_loss
from palaestra.trainer.runs.setup import check as check_run
from palaestra.trainer.runs.setup import train

from ..support.runs import SMALL

EXAMPLE = Path(__file__).parents[3] / "examples" / "own_loss.py"
OWN = f"{EXAMPLE}:kimi"

CAPPED = """
from palaestra.trainer.objective.kinds import KINDS, LossKind
entry = KINDS["cispo"]
capped = LossKind(
    "capped", "nobody", entry.terms, entry.formula, "token_mean", reads=("ratio_cap",), off_policy=False
)
"""


def test_every_kind_is_found_by_its_name():
    assert all(find_kind(name) is kind and kind.name == name for name, kind in KINDS.items())


def test_a_kind_of_ones_own_is_loaded_once_and_prints_its_formula():
    kind = find_kind(OWN)
    assert kind is find_kind(OWN)
    assert (kind.name, kind.paper) == ("kimi", "Kimi Team 2025, arXiv:2501.12599")
    text = write_formula(LossConfig(OWN), AdvantageConfig())
    assert "-A * log p_now + 0.05 * x^2 / tokens of the completion" in text
    assert "sum over all tokens / completions" in text


def test_a_file_alone_is_its_only_kind(tmp_path: Path):
    assert find_kind(str(EXAMPLE)).name == "kimi"
    (tmp_path / "one.py").write_text(CAPPED)
    assert find_kind(str(tmp_path / "one.py")).name == "capped", "the table's entry is not its own"
    (tmp_path / "broken.py").write_text("def (")
    with pytest.raises(UserError, match=r"broken\.py could not be loaded: SyntaxError"):
        find_kind(str(tmp_path / "broken.py"))
    (tmp_path / "two.py").write_text(CAPPED + "from dataclasses import replace\nother = replace(capped)\n")
    with pytest.raises(UserError, match="should define one LossKind; it has capped, other: say"):
        find_kind(str(tmp_path / "two.py"))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("dr-grpo", r"no loss kind 'dr-grpo'\. Did you mean dr_grpo\?.*FILE\.py:name"),
        ("xyz", r"The kinds: grpo, dapo, .*reinforce\. One of your own"),
        (f"{EXAMPLE}:kimy", r"has no 'kimy' to take as loss\. Did you mean kimi\?"),
        (
            f"{EXAMPLE.with_name('own_los.py')}:kimi",
            r"no loss file .*own_los\.py\. Did you mean own_loss\.py",
        ),
        (str(EXAMPLE.with_name("own_reward.py")), r"should define one LossKind; it has none: say .*:name"),
        (f"{EXAMPLE}:regularise_log_ratio", r"is of type function, but a loss is a LossKind"),
    ],
)
def test_what_is_no_kind_is_refused_with_a_sentence(name, sentence):
    with pytest.raises(UserError, match=sentence):
        check_run(TrainConfig.of(loss=LossConfig(name)))


OWN_TERMS = """
from palaestra.trainer.objective.kinds import LossKind, Terms
def terms(inputs, config):
    {body}
mine = LossKind("mine", "nobody", terms, lambda config: {formula}, "token_mean")
"""


@pytest.mark.parametrize(
    ("body", "formula", "sentence"),
    [
        ("return 3", "'A'", r"mine\.py: its terms returned 3; return Terms\(loss_BT\)"),
        (
            "return inputs.nothing",
            "'A'",
            r"mine\.py failed on a probe of two tokens: AttributeError.*nothing",
        ),
        ("return Terms(inputs.logprobs_BT.sum(1))", "'A'", r"loss_BT is \(1,\) for one completion of two"),
        ("return Terms(3)", "'A'", r"loss_BT is 3 for one completion"),
        ("return Terms(inputs.logprobs_BT, 1)", "'A'", r"clip_low_BT is 1 for one completion"),
        ("return Terms(inputs.logprobs_BT.detach())", "'A'", "loss_BT has no gradient"),
        ("return Terms(inputs.logprobs_BT)", "None", r"its formula returned None; return a text"),
        ("return Terms(inputs.logprobs_BT)", "config.nothing", r"two tokens: AttributeError.*nothing"),
    ],
)
def test_a_loss_that_would_fail_in_mid_run_is_refused(tmp_path: Path, body, formula, sentence):
    (tmp_path / "mine.py").write_text(OWN_TERMS.format(body=body, formula=formula))
    with pytest.raises(UserError, match=sentence):
        check_run(TrainConfig.of(loss=LossConfig(str(tmp_path / "mine.py"))))


OWN_MARKS = """
from palaestra.trainer.objective.kind import LossKind, Terms
def terms(inputs, config):
    return Terms(-inputs.advantages_BT * inputs.logprobs_BT.masked_fill(inputs.marked_BT, 0.0))
mark = lambda inputs, config, draws: {}
mine = LossKind("mine", "nobody", terms, lambda config: "A", "token_mean", mark=mark)
"""


def test_a_kind_of_ones_own_may_mark_tokens_and_is_told_when_its_marks_are_none(tmp_path: Path):
    config = TrainConfig.of(loss=LossConfig(str(tmp_path / "mine.py")))
    (tmp_path / "mine.py").write_text(OWN_MARKS.format("inputs.keep_BT & (draws < 0.5)"))
    check_run(config)
    for number, (wrong, sentence) in enumerate(
        [
            ("draws", r"its mark returned \(1, 2\) of torch\.float64 .* give a tensor of bool"),
            ("inputs.keep_BT[0]", r"its mark returned \(2,\) of torch\.bool"),
            ("None", r"its mark returned None for one completion"),
            ("inputs.nothing", r"two tokens: AttributeError.*nothing"),
        ]
    ):
        file = tmp_path / f"mine{number}.py"
        file.write_text(OWN_MARKS.format(wrong))
        with pytest.raises(UserError, match=sentence):
            check_run(TrainConfig.of(loss=LossConfig(str(file))))


def test_losses_that_work_pass_the_probe():
    for name in [OWN, *KINDS]:
        probe_loss(LossConfig(name))


def test_the_facts_of_ones_own_kind_are_checked_as_those_of_the_table(tmp_path: Path):
    (tmp_path / "mine.py").write_text(CAPPED)
    kind = f"{tmp_path / 'mine.py'}:capped"
    check(LossConfig(kind, ratio_cap=3.0), AdvantageConfig())
    with pytest.raises(ValueError, match=r"clip_high=0\.1 would have no effect"):
        check(LossConfig(kind, clip_high=0.1), AdvantageConfig())
    with pytest.raises(ValueError, match="has no ratio to correct"):
        check(LossConfig(kind), AdvantageConfig(), updates_per_batch=2)


def test_the_example_of_the_page_on_losses_is_a_kind(tmp_path: Path):
    page = (EXAMPLE.parents[1] / "docs" / "losses.md").read_text()
    (tmp_path / "page.py").write_text(page.split("```python\n")[1].split("```")[0])
    config = LossConfig(f"{tmp_path / 'page.py'}:mine", ratio_cap=3.0)
    check(config, AdvantageConfig())
    assert "-sg(min(r_t, 3)) * A * log p_now" in write_formula(config, AdvantageConfig())


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"reads": ("clip_hi",)}, "'clip_hi', which is no field"),
        ({"aggregate": "mean"}, "one of sequence_mean, token_mean"),
    ],
)
def test_an_entry_that_cannot_work_is_refused(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        replace(KINDS["grpo"], **settings)


def test_a_run_trains_with_the_loss_of_the_example(warm_model: Path, tmp_path: Path):
    config = SMALL.but(steps=1, minibatches=2, eval_problems=4, eval_samples=1, preflight_problems=0)
    config = config.but(model=str(warm_model), out=str(tmp_path / "run"), loss=LossConfig(OWN))
    said: list[str] = []
    train(config, say=said.append)
    assert "x = sum over the completion of log p_now / p_sampled" in "\n".join(said)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["kind"] == "step"] == [1]
