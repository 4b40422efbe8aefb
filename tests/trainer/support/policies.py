"""A policy around a model that a test has made."""

import torch
from palaestra.trainer.model.policy import Policy


def make_policy(model, tokenizer, dtype: torch.dtype = torch.float32) -> Policy:
    return Policy(model, tokenizer, torch.device("cpu"), dtype, "test")
