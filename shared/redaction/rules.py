"""What redaction promises, apart from how personal data are found."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

NAMES_IN_TEXT = frozenset({"PERSON", "LOCATION", "ORGANIZATION", "NRP", "DATE_TIME"})
"""Entity types that take a language model to see. The only one here reads English."""

PATTERNS = {
    "CREDIT_CARD": "CreditCardRecognizer",
    "CRYPTO": "CryptoRecognizer",
    "EMAIL_ADDRESS": "EmailRecognizer",
    "IBAN_CODE": "IbanRecognizer",
    "IP_ADDRESS": "IpRecognizer",
    "MAC_ADDRESS": "MacAddressRecognizer",
    "PHONE_NUMBER": "PhoneRecognizer",
    "URL": "UrlRecognizer",
    "US_BANK_NUMBER": "UsBankRecognizer",
    "US_DRIVER_LICENSE": "UsLicenseRecognizer",
    "US_ITIN": "UsItinRecognizer",
    "US_PASSPORT": "UsPassportRecognizer",
    "US_SSN": "UsSsnRecognizer",
}
"""Entity types that a pattern or a checksum shows, in any language, and Presidio's recogniser for each."""

SHORTEST_SOUGHT = 4
_PLACEHOLDER = re.compile(r"<[A-Z_]+>")


class RedactionFailed(Exception):
    """A value that had to go is still there. No dataset may be made of this."""


@dataclass(frozen=True)
class Redacted:
    """A text without its personal data, and which kinds of it were replaced, one entry per value."""

    text: str
    entities: tuple[str, ...] = ()


def cannot_redact(language: str, entities: Iterable[str]) -> str | None:
    """Why texts of this language cannot be freed of these entity types; None if they can.

    It fails closed: where names cannot be found nothing is published, until the workload no longer asks.
    """
    wanted = set(entities)
    unknown = sorted(wanted - NAMES_IN_TEXT - PATTERNS.keys())
    if unknown:
        known = ", ".join(sorted(NAMES_IN_TEXT | PATTERNS.keys()))
        return f"the redactor knows no entity type {', '.join(unknown)}. It knows {known}."
    unseen = sorted(wanted & NAMES_IN_TEXT)
    if language != "en" and unseen:
        return (
            f"the redactor finds {', '.join(unseen)} in English texts only, and the workload's language is "
            f'"{language}". If its texts name nobody, take these out of [privacy] entities.'
        )
    return None


def keep_pattern(keep: Iterable[str]) -> str | None:
    """A pattern, for any case, that matches what consists of kept words only; None if there are none."""
    words = sorted({word for phrase in keep for word in re.findall(r"\w+", phrase)})
    if not words:
        return None
    word = f"(?:{'|'.join(map(re.escape, words))})"
    return rf"\A\W*{word}(?:\W+{word})*\W*\Z"


@dataclass(frozen=True)
class Found:
    """A personal value in a text, from character `start` up to `end`."""

    start: int
    end: int
    entity: str


def everywhere(text: str, found: Sequence[Found]) -> list[Found]:
    """What was found, and the same values (whole words, any case) where the detector overlooked them.

    Values of fewer than four letters and digits are not sought: "Al" would take "al dente" with it.
    """
    more = {
        Found(other.start(), other.end(), one.entity)
        for one in found
        if (sought := _sought(text[one.start : one.end])) is not None
        for other in sought.finditer(text)
    }
    return [*found, *sorted(more - set(found), key=lambda one: (one.start, one.end, one.entity))]


def check_gone(values: Iterable[str], redacted: str) -> None:
    """Raises RedactionFailed if one of the values (sought as in `everywhere`) still stands in the text."""
    parts = _PLACEHOLDER.split(redacted)
    for value in values:
        sought = _sought(value)
        if sought is not None and any(sought.search(part) for part in parts):
            raise RedactionFailed("a value that was replaced still stands in its row")


def _sought(value: str) -> re.Pattern[str] | None:
    words = re.findall(r"\w+", value)
    if sum(map(len, words)) < SHORTEST_SOUGHT:
        return None
    return re.compile(r"(?<!\w)" + r"\W+".join(map(re.escape, words)) + r"(?!\w)", re.IGNORECASE)
