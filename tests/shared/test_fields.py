"""Limits that every way in enforces."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from shared.fields import Name, Text

TEXT, NAME = TypeAdapter(Text), TypeAdapter(Name)


@pytest.mark.parametrize("kind", [TEXT, NAME])
@pytest.mark.parametrize("lone", ["\ud800", "a\udfffb"])
def test_a_lone_surrogate_is_refused(kind: TypeAdapter[str], lone: str) -> None:
    with pytest.raises(ValidationError):
        kind.validate_python(lone)


def test_a_text_is_measured_in_bytes_of_utf8() -> None:
    assert TEXT.validate_python("é" * 32 * 1024)
    with pytest.raises(ValidationError, match="64 KiB"):
        TEXT.validate_python("é" * 32 * 1024 + "e")
