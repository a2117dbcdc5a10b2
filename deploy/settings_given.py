"""Settings of a training as they are given on the command line: NAME=VALUE, the value as TOML has it."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from typing import Any

from deploy.expected_error import ExpectedError


def settings_given(method: str | None, given: Sequence[str]) -> dict[str, Any]:
    """`learning_rate=2e-4`, `use_rslora=true`, `lr_scheduler_type=cosine`. Raises ExpectedError.

    Whether there is such a setting, and whether the value will do, is for the service to say.
    """
    settings: dict[str, Any] = {} if method is None else {"method": method}
    for one in given:
        name, equals, value = (part.strip() for part in one.partition("="))
        if not equals or not name or not value:
            raise ExpectedError(f"--set {one}: write NAME=VALUE, such as learning_rate=2e-4.")
        if name in settings:
            raise ExpectedError(f"--set {one}: {name} is given twice. Remove one.")
        settings[name] = _value(value)
    return settings


def _value(written: str) -> Any:
    """A number, true, false or a list; whatever is none of these is a text, with or without quotes."""
    try:
        return tomllib.loads(f"value = {written}")["value"]
    except tomllib.TOMLDecodeError:
        return written
