"""A task's card: what it is, examples, what is proven, terms; as Markdown and as JSON."""

import json

import palaestra as pal
from palaestra import tasks
from palaestra.tasks import Problem
from palaestra.tasks.core.proofs.card import describe_task, pick_examples, write_card
from palaestra.tasks.core.proofs.proof import Finding, Proof, Tally
from palaestra.tasks.core.proofs.prove import prove
from palaestra.tasks.core.sources import Procedural
from palaestra.tasks.core.task import Task
from palaestra.verifiers import Rubric


def test_a_card_says_what_there_is_to_know():
    task = tasks.get("countdown")
    proof, examples = prove(task, 3), pick_examples(task)
    card = write_card(task, proof, examples)
    assert card.startswith("# countdown\n\nReach a target from given numbers")
    assert len(examples) == 4  # one of each level
    for said in (
        "| levels | 4 |", "| split train | without end |", "| option largest | 20 |", "- licence: Apache-2.0",
        "countdown: 0.909 of the reward, decides `passed`", "| two different answers | not pass |",
        "| the answer written otherwise | pass |", "false positives  0 %", examples[0].problem.text,
        examples[3].solution,
    ):  # fmt: skip
        assert said in card
    plain = json.loads(json.dumps(describe_task(task, proof, examples), default=str))
    assert plain["licence"] == "Apache-2.0"
    assert plain["levels"] == 4
    assert plain["splits"] == {"train": None, "test": None}
    assert [example["outcome"] for example in plain["examples"]] == ["passed"] * 4
    assert plain["proof"]["false_positives"]["count"] == 0
    assert plain["proof"]["false_positives"]["high"] > 0


def test_what_fails_stands_in_the_card_and_texts_stay_texts():
    rows = [{"question": f"``` | <b>{n}</b> *?*", "answer": str(n)} for n in range(9)]
    task = pal.dataset_task("odd", data=rows, verify="number", licence="a|b", citation="*me*")
    tasks.core.task.REGISTERED.pop("odd")
    finding = Finding("a check | of mine", False, "<script>")
    proof = Proof("odd", "math", 1, (finding,), (Tally("kind", False, 3, 1, 0, "x"),))
    card = write_card(task, proof, pick_examples(task))
    assert "0 of 1 checks pass, on 1 problems." in card
    assert "- **a check \\| of mine** does not: \\<script\\>" in card
    assert "- licence: a\\|b" in card
    assert "- cite: \\*me\\*" in card
    assert "````\n``` | <b>" in card  # a fence that its content can't close


def test_an_episode_without_a_player_has_a_card():
    class Silent:
        def __init__(self, problem):
            self.state = {"reward": 0}

        def reply(self, said):
            return None

    def say(rng, level):
        yield Problem(f"Say {rng.random()}.", "1")

    task = Task("played", Procedural("played", say), Rubric(pal.criteria.reached()), episode=Silent)
    examples = pick_examples(task)
    card = write_card(task, Proof("played", "logic", 1, (), ()), examples)
    assert "No solution is shown: the task has no player." in card
    assert examples[0].problem.text in card
