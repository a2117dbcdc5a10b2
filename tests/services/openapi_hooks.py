"""Lets schemathesis past "unknown workload": of four requests three name one that is there.

Loaded by SCHEMATHESIS_HOOKS in the process that `test_openapi_documents.py` starts.
"""

from __future__ import annotations

import itertools
from typing import Any

import schemathesis

THERE, MAY_BE_RETIRED = "tickets", "rest"
_numbers = itertools.count(1)


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    if next(_numbers) % 4:
        name = MAY_BE_RETIRED if case.path.endswith("/retire") else THERE
        bodies = case.body if isinstance(case.body, list) else [case.body]
        for part in (case.path_parameters, case.query, *bodies):
            if isinstance(part, dict):
                part |= {field: name for field in ("name", "workload", "model") if field in part}
                _readable(part.get("messages"))


def _readable(messages: Any) -> None:
    """A chat that has a text to answer."""
    if isinstance(messages, list) and messages and isinstance(messages[-1], dict):
        messages[-1] |= {"role": "user", "content": "Where is my money?"}
