"""rollouts.jsonl holds what a reader needs beside the text: credit, tokens, the stricter rubric's view."""

import json
from dataclasses import replace

import torch
from palaestra.trainer.algorithms.batch import Batch
from palaestra.trainer.model.embedded import make_character_tokenizer
from palaestra.trainer.model.prompts import PromptFormat
from palaestra.trainer.runs.rollout_log import average_advantages, write_rollouts

from ..support.groups import LIVE, make_group
from ..support.runs import say_nothing

PROMPTS = PromptFormat.of(make_character_tokenizer(), say=say_nothing)


def make_batch(groups):
    return Batch.of(groups, torch.device("cpu"))


def test_advantages_are_means_over_tokens_that_count():
    batch = make_batch([make_group(LIVE, 0)])
    mask_BT = batch.mask_BT.clone()
    mask_BT[1] = False
    advantages_BT = torch.arange(mask_BT.numel(), dtype=torch.float32).view(mask_BT.shape)
    means_B = average_advantages(replace(batch, mask_BT=mask_BT, advantages_BT=advantages_BT))
    assert means_B[0] == float(advantages_BT[0][mask_BT[0]].mean())
    assert means_B[1] == 0.0


def test_a_line_for_each_completion(tmp_path):
    groups = [make_group(LIVE, 0), make_group(LIVE, 1)]
    rows = sum(len(group.completions_G) for group in groups)
    path = tmp_path / "new" / "rollouts.jsonl"
    write_rollouts(path, groups, PROMPTS, 3, [0.123456789] * rows, {1: 0.5})
    write_rollouts(path, groups, PROMPTS, 4, [0.0] * rows, {})
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["step"] for line in lines] == [3] * rows + [4] * rows
    assert [line["sample"] for line in lines[:rows]] == [*range(rows // 2)] * 2
    assert lines[0]["advantage"] == 0.12346
    assert [line.get("shadow_reward") for line in lines[:3]] == [None, 0.5, None]
    completion = groups[0].completions_G[0]
    assert lines[0]["token_ids"] == list(completion.ids)
    assert lines[0]["logprobs_x100"] == [round(100 * value) for value in completion.logprobs]
