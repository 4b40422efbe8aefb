"""Chat templates as Jinja reads them: the text of a file, the variables in it. Imports no transformers."""

from __future__ import annotations

from pathlib import Path

from jinja2 import TemplateSyntaxError, meta, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ...tasks.core.errors import UserError
from ..config.shared import PromptConfig

OF_THE_TOKENIZER = "of the tokenizer"


def check_template(config: PromptConfig) -> None:
    """Raise UserError for a template's file that can't be read, before anything is loaded."""
    if config.template:
        find_variables(read_template(config.template), config.template)


def read_template(path: str) -> str:
    """The text of a chat template's file. Raises UserError where there is none."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as failure:
        reason = getattr(failure, "strerror", None) or failure
        raise UserError(
            f"--prompt-template {path} can't be read ({reason}). Give a file with a Jinja chat template."
        ) from failure
    if not text.strip():
        raise UserError(f"--prompt-template {path} is empty. Give a file with a Jinja chat template.")
    return text


def find_variables(template: str, where: str = OF_THE_TOKENIZER) -> set[str]:
    """Names of the variables that a template reads. Raises UserError for one that can't be read."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _GenerationBlock]
    )  # as transformers': what can be parsed here can be there
    try:
        return meta.find_undeclared_variables(environment.parse(template)) - {"raise_exception"}
    except TemplateSyntaxError as failure:
        reason = f"line {failure.lineno}: {failure.message}"
    except RecursionError:
        reason = "it is nested too deeply"
    raise UserError(
        f"The chat template ({where}) can't be read: {reason.rstrip('.')}. "
        "Mend it, or give another one with --prompt-template."
    )


class _GenerationBlock(Extension):
    """transformers' tag around what the assistant says: here only its body."""

    tags = frozenset({"generation"})  # type: ignore[assignment]

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)
