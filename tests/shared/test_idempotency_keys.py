"""What an Idempotency-Key is, for whoever takes one."""

from __future__ import annotations

import pytest

from shared.idempotency_keys import key_in


@pytest.mark.parametrize("header", ["order-7", " order-7 ", '"order-7"'])
def test_quotes_and_blanks_around_a_key_are_no_part_of_it(header: str) -> None:
    assert key_in(header) == "order-7"


@pytest.mark.parametrize("header", ["", " ", '""', "\u00e9", "a\x00b", "x" * 201])
def test_what_is_empty_too_long_or_not_printable_is_no_key(header: str) -> None:
    assert key_in(header) is None
