"""What OpenAI's API can be asked for and no workload can do: refused by name, never quietly dropped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class Unsupported(Exception):
    """`param` asks for what cannot be done here; `said` is why, and what to do."""

    def __init__(self, param: str, said: str) -> None:
        super().__init__(f"{param}: {said}")
        self.param, self.said = param, said


@dataclass(frozen=True)
class _Limit:
    why: str
    taken: tuple[Any, ...] = ()
    """The values that ask for nothing; null is always one."""


_ONE = "There is one answer to a text; leave it out."
_NO_TOOL = "The answer is one of the workload's labels and calls no tool; leave it out."
_LABEL = "The answer is one of the workload's labels, as it is written in its definition; leave it out."
_TEXT = "Only text is read and answered; leave it out."

_LIMITS: Mapping[str, _Limit] = {
    "n": _Limit(_ONE, (1,)),
    "best_of": _Limit(_ONE, (1,)),
    "tools": _Limit(_NO_TOOL, ([],)),
    "functions": _Limit(_NO_TOOL, ([],)),
    "tool_choice": _Limit(_NO_TOOL, ("none",)),
    "function_call": _Limit(_NO_TOOL, ("none",)),
    "web_search_options": _Limit(_NO_TOOL),
    "response_format": _Limit(_LABEL, ({"type": "text"},)),
    "logit_bias": _Limit(_LABEL, ({},)),
    "echo": _Limit(_LABEL, (False,)),
    "suffix": _Limit(_LABEL, ("",)),
    "modalities": _Limit(_TEXT, (["text"],)),
    "audio": _Limit(_TEXT),
}


def refuse_unsupported(fields: Mapping[str, Any]) -> None:
    """Raises Unsupported for the first field of a request that asks for what cannot be done."""
    for name, value in fields.items():
        limit = _LIMITS.get(name)
        if limit is not None and value is not None and value not in limit.taken:
            raise Unsupported(name, limit.why)
