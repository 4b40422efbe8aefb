"""Problems as token ids: through the chat template where the tokenizer has one, as plain text elsewhere."""

from __future__ import annotations

from transformers import PreTrainedTokenizerBase

from ...tasks import Problem


def encode_prompt(tokenizer: PreTrainedTokenizerBase, problem: Problem, instruction: str = "") -> list[int]:
    """Token ids of the prompt, the task's instruction after it, ready for the model to go on writing."""
    if tokenizer.chat_template:
        messages = [dict(message) for message in _list_messages(problem)]
        if instruction:
            messages[-1]["content"] += f"\n\n{instruction}"
        text = str(tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False))
        return list(tokenizer(text, add_special_tokens=False).input_ids)
    plain = write_transcript(problem)
    text = f"{plain}\n{instruction}\n" if instruction else plain
    return list(tokenizer(text).input_ids)


def write_transcript(problem: Problem) -> str:
    """A prompt as text for a tokenizer without a chat template: several turns are named,
    one turn is its content."""
    messages = _list_messages(problem)
    if len(messages) == 1:
        return problem.text
    names = {"user": "Human", "assistant": "Assistant", "system": "System"}
    turns = [f"{names.get(message['role'], message['role'])}: {message['content']}" for message in messages]
    return "\n\n".join([*turns, "Assistant:"])


def encode_completion(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Token ids of a completion to imitate, with the end token that tells the model to stop."""
    return [*tokenizer(text, add_special_tokens=False).input_ids, tokenizer.eos_token_id]


def _list_messages(problem: Problem) -> list[dict[str, str]]:
    if isinstance(problem.prompt, str):
        return [{"role": "user", "content": problem.prompt}]
    return [dict(message) for message in problem.prompt]
