"""A chat template's append-only variant: it begins a conversation as the template does, and leaves in place
what was said since.

The first answer's prompt is the template's own. From there on every answer stands as it was generated, and
between two answers is what the template writes there (`turn_texts`). A server that is given the variant
renders a conversation as a model read it while it was trained on episodes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from .turn_texts import TurnText

_VARIANT = """\
{% macro palaestra_begin(messages, add_generation_prompt) %}
TEMPLATE{%+ endmacro %}
{%- set palaestra_turns = TURNS -%}
{%- set palaestra = namespace(begin=[], answered=false) -%}
{%- for message in messages -%}
  {%- set palaestra.answered = palaestra.answered or message.role == 'assistant' -%}
  {%- if not palaestra.answered -%}{%- set palaestra.begin = palaestra.begin + [message] -%}{%- endif -%}
{%- endfor -%}
{{- palaestra_begin(palaestra.begin, palaestra.answered or add_generation_prompt) -}}
{%- for message in messages[palaestra.begin | length:] -%}
  {%- set text = message.content if message.content is string else
    (message.content or []) | map(attribute='text') | join -%}
  {%- if (message.role == 'assistant') != (loop.index0 % 2 == 0) -%}
    {{- raise_exception('Answers and replies must take turns.') -}}
  {%- elif message.tool_calls or message.reasoning_content or message.reasoning or message.thinking -%}
    {{- raise_exception('Give what the model said as the content, its thinking and its calls in it.') -}}
  {%- elif message.role == 'assistant' -%}
    {{- text -}}
    {%- if loop.last -%}{{- END -}}{%- endif -%}
  {%- elif message.role not in palaestra_turns -%}
    {{- raise_exception('No reply can be in role ' + message.role + '.') -}}
  {%- else -%}
    {%- set turn = palaestra_turns[message.role] -%}
    {{- turn.before -}}
    {%- if turn.manner == 'trimmed' -%}{{- text | trim -}}
    {%- elif turn.manner == 'as JSON' -%}{{- text | tojson -}}
    {%- else -%}{{- text -}}{%- endif -%}
    {{- turn.after -}}
  {%- endif -%}
{%- endfor -%}
"""


def write_append_only(template: str, turns: Mapping[str, TurnText], end: str) -> str:
    """The variant of a template, in Jinja.

    turns: what stands around a reply, by its role.  end: what the template writes after the last answer.
    """
    told = {
        role: {"before": turn.before, "after": turn.after, "manner": turn.manner}
        for role, turn in turns.items()
    }
    parts = {"TEMPLATE": template.removesuffix("\n"), "TURNS": _quote(told), "END": _quote(end)}
    # At once: what is filled in may hold these words itself.
    return re.sub(rf"\b(?:{'|'.join(parts)})\b", lambda found: parts[found[0]], _VARIANT)


def _quote(value: object) -> str:
    """Plain data as Jinja reads it."""
    return json.dumps(value, ensure_ascii=False)
