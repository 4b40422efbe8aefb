"""The card of a trained model, README.md on the hub: what it learned, to what effect, by which settings, on
whose terms, and how it is used. Imports no torch."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...tasks.core.errors import UserError
from ...tasks.core.markdown import escape, fence
from ..config.reward_model import RewardModelConfig
from ..config.settings import Settings, list_settings, merge
from ..config.sft import SFTConfig
from ..config.train import TrainConfig
from ..storage.summary import UNKNOWN, RunSummary

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
KINDS: dict[str, type[Settings]] = {
    "train": TrainConfig,
    "sft": SFTConfig,
    "reward-model": RewardModelConfig,
}
OF_THIS_MACHINE = {"out", "log", "stop_after", "threads", "device"}  # settings that say nothing of the model


@dataclass(frozen=True)
class Terms:
    """Where the model comes from, and on whose terms.

    base: hub id of the model that the training began with, or its folder's name; "" where made from nothing.
    base_licence, data_licence: "unknown" where not known.  before: earlier runs on the way, the first one
    first ("SFT on gcd").
    """

    base: str
    base_licence: str = UNKNOWN
    data_licence: str = UNKNOWN
    before: tuple[str, ...] = ()

    @property
    def hub_base(self) -> str:
        """The base where it is on the hub, "" elsewhere."""
        return self.base if HUB_ID.fullmatch(self.base) else ""


def write_card(summary: RunSummary, name: str, terms: Terms, *, adapter: bool) -> str:
    """The card. name: hub id or folder by which the model is loaded.  adapter: adapters lie beside it."""
    task = summary.facts.get("task") or {}
    sections = [
        _write_front_matter(summary, terms, task),
        f"# {name.rstrip('/').rpartition('/')[2]}",
        _write_origin(summary, terms, task),
        "## Figures",
        _write_figures(summary),
        "## How to use",
        _write_usage(summary, name, adapter=adapter),
        "## Settings",
        _write_settings(summary),
        "## Licences",
        _write_licences(terms, task),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def list_settings_changed(summary: RunSummary) -> list[tuple[str, Any]]:
    """The settings of a run that are not the defaults, files by their names alone.

    Raises UserError where config.json is damaged.
    """
    kind = KINDS[summary.command]
    defaults, config = kind(), merge(kind(), summary.config, str(summary.folder / "config.json"))
    return [
        (setting.name, _hide_folders(setting.value(config)))
        for setting in list_settings(kind)
        if setting.name not in OF_THIS_MACHINE and setting.value(config) != setting.value(defaults)
    ]


def _hide_folders(value: Any) -> Any:
    """A value without the folders of this machine."""
    if isinstance(value, tuple):
        return [_hide_folders(item) for item in value]
    if not isinstance(value, str):
        return value
    head, equals, path = value.rpartition("=")  # name=FOLDER
    return f"{head}{equals}{Path(path).name}" if path.startswith("/") else value


def _write_front_matter(summary: RunSummary, terms: Terms, task: dict[str, Any]) -> str:
    """The metadata that the hub reads; JSON is YAML."""
    data = str(task.get("source", "")).partition(" ")[0]
    own_data = summary.config.get("task", {}).get("data") if summary.command != "reward-model" else ""
    fields: dict[str, Any] = {
        "library_name": "transformers",
        "pipeline_tag": "text-classification" if summary.command == "reward-model" else "text-generation",
        "license": terms.base_licence,
        "tags": ["palaestra", _name_tag(summary)],
    }
    if terms.hub_base:
        fields["base_model"] = terms.hub_base
    if HUB_ID.fullmatch(data) and not own_data:
        fields["datasets"] = [data]
    lines = [f"{name}: {json.dumps(value)}" for name, value in fields.items()]
    return "\n".join(["---", *lines, "---"])


def _name_tag(summary: RunSummary) -> str:
    return re.sub(r"[^a-z0-9]+", "-", summary.how.lower()).strip("-") or "training"


def _write_origin(summary: RunSummary, terms: Terms, task: dict[str, Any]) -> str:
    base = f"[{terms.base}](https://huggingface.co/{terms.base})" if terms.hub_base else escape(terms.base)
    made = base if terms.base else "A small model made from nothing"
    how = (
        "as a reward model"
        if summary.command == "reward-model"
        else f"by {escape(summary.how + summary.where)}"
    )
    steps = "".join(f" by {escape(step)}, then" for step in terms.before)
    lines = [f"{made}, trained{steps} {how}: {summary.progress}."]
    if task.get("summary"):
        lines.append(f"The task: {escape(task['summary'])}")
    packages = summary.facts.get("packages", {})
    versions = ", ".join(
        f"{name} {packages[name]}" for name in ("palaestra", "torch", "transformers") if name in packages
    )
    lines.append(f"Made with {versions or 'palaestra'}.")
    return "\n\n".join(lines)


def _write_figures(summary: RunSummary) -> str:
    if not summary.figures:
        return "Nothing was measured on held-out examples."
    of = f"On {summary.held_out} held-out problems" if summary.held_out else "On held-out examples"
    rows = [f"| {figure.name} | {figure.before} | {figure.after} |" for figure in summary.figures]
    return "\n".join(
        [
            f"{of}, with 95 % intervals where there are any:",
            "",
            "| | before | after |",
            "| --- | --- | --- |",
            *rows,
        ]
    )


def _write_usage(summary: RunSummary, name: str, *, adapter: bool) -> str:
    if summary.command == "reward-model":
        code = [
            "from transformers import AutoModelForSequenceClassification, AutoTokenizer",
            "",
            f"tokenizer = AutoTokenizer.from_pretrained({json.dumps(name)})",
            f"model = AutoModelForSequenceClassification.from_pretrained({json.dumps(name)})",
            'ids = tokenizer("A prompt and an answer to it", return_tensors="pt")',
            "print(model(input_ids=ids.input_ids).logits)  # reward_model.json has their mean and deviation",
        ]
        return fence("\n".join(code), "python")
    parts = [fence("\n".join(_write_generation(summary, name)), "python")]
    if adapter:
        parts.append("The weights above have the LoRA adapters merged. `adapter/` has the adapters alone")
        if HUB_ID.fullmatch(summary.model):
            code = [
                "from peft import PeftModel",
                "",
                f"base = AutoModelForCausalLM.from_pretrained({json.dumps(summary.model)})",
                f'model = PeftModel.from_pretrained(base, {json.dumps(name)}, subfolder="adapter")',
            ]
            parts[-1] += ":"
            parts.append(fence("\n".join(code), "python"))
        else:
            parts[-1] += ", of the model that this run began with, which is not on the hub."
    return "\n\n".join(parts)


def _write_generation(summary: RunSummary, name: str) -> list[str]:
    """Code that asks the model as the training did."""
    prompt, task = summary.config.get("prompt", {}), summary.facts.get("task") or {}
    said = prompt.get("instruction", "auto")
    instruction = task.get("instruction", "") if said == "auto" else said
    system, chat = prompt.get("system", ""), bool(summary.facts.get("chat_template"))
    between = "\n\n" if chat else "\n"
    asked = f"question + {json.dumps(between + instruction)}" if instruction else "question"
    lines = [
        "from transformers import AutoModelForCausalLM, AutoTokenizer",
        "",
        f"tokenizer = AutoTokenizer.from_pretrained({json.dumps(name)})",
        f"model = AutoModelForCausalLM.from_pretrained({json.dumps(name)})",
        'question = "..."',
    ]
    if not chat:
        end = ' + "\\n"' if instruction else ""
        lines += [f'ids = tokenizer({asked}{end}, return_tensors="pt").input_ids']
    else:
        variables = json.loads(prompt.get("chat_template_kwargs") or "{}")
        first = f'{{"role": "system", "content": {json.dumps(system)}}}, ' if system else ""
        lines += [
            f'messages = [{first}{{"role": "user", "content": {asked}}}]',
            "ids = tokenizer.apply_chat_template(",
            '    messages, add_generation_prompt=True, return_tensors="pt", return_dict=True'
            + "".join(f", {key}={value!r}" for key, value in variables.items()),
            ").input_ids",
        ]
    return [
        *lines,
        "completion = model.generate(ids, max_new_tokens=256)[0, ids.shape[1] :]",
        "print(tokenizer.decode(completion, skip_special_tokens=True))",
    ]


def _write_settings(summary: RunSummary) -> str:
    changed = list_settings_changed(summary)
    if not changed:
        return f"All settings of `palaestra {summary.command}` at their defaults."
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in changed]
    what = (
        f"Those of `palaestra {summary.command}` that are not its defaults, as `--config` takes them (TOML):"
    )
    return what + "\n\n" + fence("\n".join(lines), "toml")


def _write_licences(terms: Terms, task: dict[str, Any]) -> str:
    base = f"the base model: {terms.base_licence}" if terms.base else "no base model: made from nothing"
    lines = [f"- {base}"]
    if task:
        lines.append(f"- the data of the task {escape(task['name'])}: {escape(terms.data_licence)}")
    if task.get("citation"):
        lines.append(f"- cite: {escape(task['citation'])}")
    return "\n".join(lines)


def read_licence(folder: Path) -> str:
    """The licence that a model folder's own card names, "unknown" where there is none."""
    card = folder / "README.md"
    try:
        text = card.read_text(encoding="utf-8") if card.is_file() else ""
    except (OSError, UnicodeDecodeError):
        return UNKNOWN
    head = text.split("---", 2)[1] if text.startswith("---") and text.count("---") > 1 else ""
    found = re.search(r"^license:\s*[\"']?([\w.+-]+)[\"']?\s*$", head, re.MULTILINE)
    return found[1] if found else UNKNOWN


def find_terms(summary: RunSummary) -> Terms:
    """What the run's record says of its base and its data.

    A model that is itself a run's is followed to where that run began.
    """
    task = summary.facts.get("task") or {}
    licence = str(task.get("licence") or UNKNOWN)
    if summary.command != "reward-model" and summary.config.get("task", {}).get("data"):
        licence = UNKNOWN  # that of the task is about its own data, not about a file of the user's
    source, before = summary.model, list[str]()
    for _ in range(MAX_RUNS):
        run = _find_run(Path(source))
        if run is None:
            break
        try:
            earlier = RunSummary.of(run)
        except UserError:
            break
        source = earlier.model
        before.insert(0, earlier.how + earlier.where)
    if source == "embedded":
        return Terms("", data_licence=licence, before=tuple(before))
    folder = Path(source)
    known = read_licence(folder) if folder.is_dir() else UNKNOWN
    name = folder.name if folder.is_absolute() or folder.is_dir() else source
    return Terms(name, known, licence, tuple(before))


MAX_RUNS = 20  # of a chain of runs, each on the model of the one before


def _find_run(model: Path) -> Path | None:
    """The run whose model this folder is, or a checkpoint of which it is; None for any other folder."""
    for folder in (model.parent, model.parent.parent):
        if model.is_dir() and (folder / "facts.json").is_file():
            return folder
    return None
