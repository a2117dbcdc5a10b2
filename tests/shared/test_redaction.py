from __future__ import annotations

import re

import pytest

from shared.redaction.rules import (
    PATTERNS,
    Found,
    RedactionFailed,
    cannot_redact,
    check_gone,
    everywhere,
    keep_pattern,
)
from shared.workload import Privacy

SENTENCES = [
    "My name is Margaret Hamilton and I need the invoice again.",
    "Please write to margaret.hamilton@example.org about it.",
    "I paid with 4111 1111 1111 1111 last week.",
    "Transfer it to DE89 3704 0044 0532 0130 00 please.",
    "The request came from 203.0.113.77 at night.",
    "Call me on (212) 555-0143 after five.",
    "My social security number is 078-05-1120.",
    "Licensed under the Apache License, Version 2.0.",
    "The invoice is wrong, nothing else.",
    "Alan Turing asked. Tell alan turing that it is done.",
]


@pytest.fixture(scope="module")
def redacted() -> list[str]:
    from shared.redaction.redactor import Redactor

    redactor = Redactor("en", Privacy(keep=("Apache", "License")))
    return [one.text for one in redactor.redact(SENTENCES)]


def test_planted_values_are_gone(redacted: list[str]) -> None:
    published = "\n".join(redacted)
    for value in (
        "Hamilton",
        "margaret",
        "4111",
        "DE89",
        "203.0.113.77",
        "555-0143",
        "078-05-1120",
        "turing",
    ):
        assert value.lower() not in published.lower()


def test_a_placeholder_says_what_stood_there(redacted: list[str]) -> None:
    assert redacted[0] == "My name is <PERSON> and I need the invoice again."
    assert redacted[1] == "Please write to <EMAIL_ADDRESS> about it."
    assert redacted[2] == "I paid with <CREDIT_CARD> last week."


def test_harmless_and_kept_words_stay(redacted: list[str]) -> None:
    assert redacted[7:9] == SENTENCES[7:9]


def test_the_same_name_in_lower_case_goes_with_it(redacted: list[str]) -> None:
    assert redacted[9] == "<PERSON> asked. Tell <PERSON> that it is done."


def test_patterns_are_found_in_any_language_without_a_model() -> None:
    from shared.redaction.redactor import Redactor

    redactor = Redactor("de", Privacy(entities=("EMAIL_ADDRESS", "IBAN_CODE")))
    (clean,) = redactor.redact(["Schreib an a.b@example.org oder DE89 3704 0044 0532 0130 00."])
    assert clean.text == "Schreib an <EMAIL_ADDRESS> oder <IBAN_CODE>."
    assert clean.entities == ("EMAIL_ADDRESS", "IBAN_CODE")


def test_every_pattern_it_knows_can_be_loaded() -> None:
    from shared.redaction.redactor import Redactor

    (clean,) = Redactor("fr", Privacy(entities=tuple(PATTERNS))).redact(["rien"])
    assert clean.text == "rien"


def test_names_in_another_language_are_refused() -> None:
    assert "PERSON" in (cannot_redact("de", ["PERSON", "URL"]) or "")
    assert cannot_redact("de", ["URL"]) is None
    assert cannot_redact("en", Privacy().entities) is None
    assert "SHOE_SIZE" in (cannot_redact("en", ["SHOE_SIZE"]) or "")


def test_only_spans_of_kept_words_are_kept() -> None:
    pattern = re.compile(keep_pattern(["MIT", "Apache License"]) or "", re.IGNORECASE)
    assert pattern.search("mit")
    assert pattern.search("[Apache License]")
    assert not pattern.search("MITchell")
    assert not pattern.search("Apache Smith")
    assert keep_pattern([]) is None


def found(text: str, *values: str) -> list[Found]:
    return [Found(text.index(value), text.index(value) + len(value), "PERSON") for value in values]


def test_a_value_is_found_wherever_it_stands() -> None:
    text = "Ada Lovelace wrote. ada  lovelace, and Adam Lovelace."
    spans = everywhere(text, found(text, "Ada Lovelace"))
    assert [text[one.start : one.end] for one in spans] == ["Ada Lovelace", "ada  lovelace"]


def test_short_values_are_not_sought_elsewhere() -> None:
    text = "Al published: al dente"
    assert everywhere(text, found(text, "Al")) == found(text, "Al")


def test_a_value_left_in_its_row_stops_everything() -> None:
    with pytest.raises(RedactionFailed):
        check_gone(["Ada Lovelace"], "<PERSON> and ADA LOVELACE")


def test_a_placeholder_is_no_leftover() -> None:
    check_gone(["Person"], "<PERSON> and PERSONS")
