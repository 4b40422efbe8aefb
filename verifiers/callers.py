"""How a function in another library's form is called for one completion: what its parameters are given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .coroutines import wait_for
from .criterion import NoVerdictError
from .extract import after_thinking, extract
from .types import Completion, ProblemLike, Status

BATCH = ("prompts", "completions", "completion_ids")  # what tells TRL's form
SINGLE = ("prompt", "completion", "answer", "state", "task", "info", "parser")  # and that of verifiers
# Names under which rows keep the expected answer: where a row has no such column, it is the reference.
REFERENCE = (
    "reference", "answer", "solution", "ground_truth", "target", "label", "gold", "expected",
    "expected_answer", "final_answer", "correct_answer",
)  # fmt: skip
Call = Callable[[Completion, ProblemLike], Any]


@dataclass(frozen=True)
class Caller:
    """call: what the function returns for one completion.  bounded: its numbers are from 0 to 1.
    skips: None says that it does not apply."""

    call: Call
    bounded: bool = True
    skips: bool = False


@dataclass(frozen=True)
class Parameters:
    """What a function can be given by name. named: its parameters.  needed: those without a default.
    takes_all: whether it has `**kwargs`.  bound: what it has already, by `functools.partial`.
    given: what it gets in any case."""

    named: frozenset[str]
    needed: Sequence[str]
    takes_all: bool
    bound: frozenset[str]
    given: Mapping[str, Any]

    def choose(self, offered: Mapping[str, Any]) -> dict[str, Any]:
        """What is taken of what is there. Raises NoVerdictError where something is missing."""
        missing = [name for name in self.needed if name not in offered and name not in self.given]
        if missing:
            raise NoVerdictError(
                f"asks for {missing[0]!r}, which is no column of the problem's row; there are "
                f"{', '.join(sorted(map(str, offered)))} (or give it: "
                f"criteria.function(..., {missing[0]}=...))."
            )
        taken = {
            str(name): value
            for name, value in offered.items()
            if name in self.named or (self.takes_all and name not in self.bound)
        }
        return {**taken, **self.given}


class Message(dict[str, Any]):
    """A message of a chat, whose fields are read as `message["content"]` or as `message.content`."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    __hash__ = None  # pyrefly: ignore[bad-override]

    def __eq__(self, other: object) -> bool:
        return super().__eq__(refuse_text(other))

    def __ne__(self, other: object) -> bool:
        return super().__ne__(refuse_text(other))


class Messages(list[Message]):
    """The messages of a chat. Compared with a text, or looked through for one, they say what they are: the
    answer would always be no.  counted, read: whether a function asked for their number, and for one of them;
    who counts messages and reads none takes them for a text."""

    counted = read = False
    __hash__ = None  # pyrefly: ignore[bad-override]

    def __bool__(self) -> bool:
        return super().__len__() > 0

    def __len__(self) -> int:
        self.counted = True
        return super().__len__()

    def __iter__(self) -> Iterator[Message]:
        self.read = True
        return super().__iter__()

    def __getitem__(self, place: Any) -> Any:
        self.read = True
        return super().__getitem__(place)

    def __contains__(self, item: object) -> bool:
        return super().__contains__(refuse_text(item))

    def count(self, item: object) -> int:  # pyrefly: ignore[bad-override]
        return super().count(refuse_text(item))

    def index(self, item: object, *bounds: Any) -> int:  # pyrefly: ignore[bad-override]
        return super().index(refuse_text(item), *bounds)

    def __eq__(self, other: object) -> bool:
        return super().__eq__(refuse_text(other))

    def __ne__(self, other: object) -> bool:
        return super().__ne__(refuse_text(other))


def refuse_text(item: object) -> Any:
    """What a message or messages may be compared with. Raises TypeError for a text."""
    if isinstance(item, str):
        raise TypeError(_NO_TEXT)
    return item


_NO_TEXT = "a completion is a list of messages here; its text is completion[-1]['content']"


class AnswerParser:
    """What a function gets as `parser`: it finds the final answer as the criteria here do."""

    def parse(self, text: str) -> str:
        """The text as it is."""
        return text

    def parse_answer(self, completion: str | Sequence[Mapping[str, Any]]) -> str | None:
        """The marked answer (`<answer>`, `\\boxed`, `####`); without a mark, what follows the think block;
        None where different answers are marked."""
        said = completion if isinstance(completion, str) else self.get_assistant_messages(completion)
        text = said if isinstance(said, str) else said[-1]["content"] if said else ""
        extraction = extract(text)
        if extraction.failure is None or extraction.failure.status is not Status.NO_ANSWER:
            return extraction.answer
        return after_thinking(text)

    def get_assistant_messages(self, completion: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """The messages that the model wrote."""
        return [message for message in completion if message.get("role") == "assistant"]


class NoTrainerState:
    """What a function gets as `trainer_state`: a reward here is the same at every step, so it has nothing."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"trainer_state.{name} is not known: a reward is the same at every step, so that a run can be "
            "replayed. Take the step out of the function."
        )


def read_columns(problem: ProblemLike) -> dict[str, Any]:
    """The columns of a problem's row: its metadata, its `id`, and the reference under every name that rows
    give it, where the row has no such column itself."""
    columns = dict.fromkeys(REFERENCE, problem.reference)
    return {"id": getattr(problem, "id", ""), **columns, **problem.metadata}


def call_plainly(
    function: Callable[..., Any], given: Mapping[str, Any], completion: Completion, problem: ProblemLike
) -> Any:
    """A function of a completion and a problem."""
    return _finish(function(completion, problem, **given))


def call_batch(function: Callable[..., Any], parameters: Parameters) -> Call:
    """TRL's form, with a batch of one: lists of one element each.

    Prompts and completions are texts where the problem's prompt is one, else lists of messages. A function
    that can't read the one gets the other.
    """

    flaws: list[str] = []  # why it can't get one completion at a time ("": it can), once that is known

    def call_all(completions: Sequence[Completion], problem: ProblemLike, chat: bool) -> list[Any]:
        prompts = [_read_prompt(problem, chat) for _ in completions]
        said = [_read_completion(completion, chat) for completion in completions]
        columns = {name: [value] * len(said) for name, value in read_columns(problem).items()}
        ids = [list(completion.ids) for completion in completions]
        words = {"prompts": prompts, "completions": said, "completion_ids": ids}
        hooks = {name: _ignore for name in ("log_extra", "log_metric") if name in parameters.named}
        offered = {**columns, "trainer_state": NoTrainerState(), **hooks, **words}
        returned = _finish(function(**parameters.choose(offered)))
        _check_reading(said)
        return _as_rewards(returned, len(said))

    def call_as(completion: Completion, problem: ProblemLike, chat: bool) -> Any:
        reward = call_all([completion], problem, chat)[0] if not any(flaws) else None
        if not flaws:
            flaws.append(_find_flaw(lambda completions: call_all(completions, problem, chat)))
        if any(flaws):
            raise NoVerdictError(flaws[0])
        return reward

    as_text, as_chat = _in_either_form(call_as, chat_first=False), _in_either_form(call_as, chat_first=True)

    def call(completion: Completion, problem: ProblemLike) -> Any:
        return (as_text if isinstance(problem.prompt, str) else as_chat)(completion, problem)

    return call


def call_single(function: Callable[..., Any], parameters: Parameters) -> Call:
    """The form of verifiers: one completion as messages, and what belongs to its row. A function that can
    read no messages gets texts."""

    def call_as(completion: Completion, problem: ProblemLike, chat: bool) -> Any:
        columns = read_columns(problem)
        info = columns.get("info")
        prompt, said = _read_prompt(problem, chat), _read_completion(completion, chat)
        words = {
            "prompt": prompt,
            "completion": said,
            "answer": columns["answer"],
            "task": columns.get("task") or str(columns["id"]).partition("/")[0] or "default",
            "info": info if isinstance(info, Mapping) else dict(problem.metadata),
        }
        turns = [{"prompt": prompt, "completion": said}]
        cut = completion.truncated
        state = {**columns, **words, "trajectory": turns, "turn": 1, "is_truncated": cut}
        offered = {**columns, **words, "state": state, "parser": AnswerParser()}
        returned = _finish(function(**parameters.choose(offered)))
        _check_reading([said])
        return returned

    return _in_either_form(call_as, chat_first=True)


def _in_either_form(call_as: Callable[[Completion, ProblemLike, bool], Any], chat_first: bool) -> Call:
    """Calls a function with messages or with texts. Which of them it reads is found out the first time that
    it raises, by a harmless completion, so that no completion can choose."""
    form: list[bool] = []  # whether it reads messages, once that is known

    def find_form(problem: ProblemLike) -> list[bool]:
        for chat in (chat_first, not chat_first):
            try:
                call_as(Completion("<answer>0</answer>"), problem, chat)
            except NoVerdictError:  # it read them, and what it gave is another matter
                return [chat]
            except Exception:  # noqa: BLE001 - that it raises is what is asked
                continue
            return [chat]
        return []

    def call(completion: Completion, problem: ProblemLike) -> Any:
        if form:
            return call_as(completion, problem, form[0])
        try:
            return call_as(completion, problem, chat_first)
        except NoVerdictError:
            raise
        except (TypeError, AttributeError, LookupError):
            form.extend(find_form(problem))
            if not form or form[0] == chat_first:
                raise
        return call_as(completion, problem, form[0])

    return call


def _read_prompt(problem: ProblemLike, chat: bool) -> Any:
    if isinstance(problem.prompt, str):
        return Messages([Message(role="user", content=problem.prompt)]) if chat else problem.prompt
    if chat:
        return Messages(Message(message) for message in problem.prompt)
    return "\n".join(str(message["content"]) for message in problem.prompt)


def _check_reading(said: Sequence[Messages | str]) -> None:
    """Raise TypeError for messages that were taken for a text."""
    if any(isinstance(each, Messages) and each.counted and not each.read for each in said):
        raise TypeError(_NO_TEXT)


def _read_completion(completion: Completion, chat: bool) -> Messages | str:
    return Messages([Message(role="assistant", content=completion.text)]) if chat else completion.text


class MiscountError(NoVerdictError):
    """A function returned another number of rewards than it got completions."""


def _as_rewards(returned: Any, count: int) -> list[Any]:
    """The rewards of a batch, as many as completions."""
    try:
        rewards = list(returned)
    except TypeError:
        raise NoVerdictError(
            f"returned {type(returned).__name__}, not a list with a number for each completion."
        ) from None
    if isinstance(returned, str | Mapping) or len(rewards) != count:
        raise MiscountError(
            f"returned {_count(len(rewards), 'reward')} for {_count(count, 'completion')}. Return a list "
            "with a number for each completion."
        )
    return rewards


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _find_flaw(judge: Callable[[Sequence[Completion]], list[Any]]) -> str:
    """Why a function can't get one completion at a time; "" where it can.

    Found out by two harmless ones in one batch: it gives them another number of rewards, or other rewards
    than each alone, twice the same. One that draws lots, or asks a model that does, compares nothing.
    """
    texts = ("<answer>0</answer>", f"{'Let me think. ' * 9}\n<answer>1</answer>")
    pair = [Completion(text, ids=tuple(text.encode())) for text in texts]

    def judge_both_ways() -> tuple[list[Any], list[Any]]:
        return judge(pair), [judge([completion])[0] for completion in pair]

    try:
        together, alone = judge_both_ways()
        if together == alone or (together, alone) != judge_both_ways():
            return ""
    except MiscountError as failure:
        return str(failure)
    except Exception:  # noqa: BLE001 - whatever it raises on these says nothing of it
        return ""
    return (
        "compares the completions of a batch with each other, and here it gets one at a time. Let it judge "
        "each by itself."
    )


def _finish(returned: Any) -> Any:
    return wait_for(returned) if hasattr(returned, "__await__") else returned


def _ignore(*_arguments: Any, **_more: Any) -> None:
    """Stands for a hook that logs."""
