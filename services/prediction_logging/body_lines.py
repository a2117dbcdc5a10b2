"""A body's lines: those of JSON Lines, the elements of an array, or the one object that it is.

They are counted from 1, empty lines included, and every line is bytes of JSON for one reader.
"""

from __future__ import annotations

import json
import re

JSON_LINES = frozenset(
    f"{kind}/{prefix}{name}"
    for kind in ("application", "text")
    for prefix in ("", "x-")
    for name in ("ndjson", "jsonl", "jsonlines", "json-lines")
)

_decoder = json.JSONDecoder()
_skip = re.compile(r"[ \t\n\r]*").match


class NotJson(Exception):
    """The body is no JSON. The message says where it stops being any."""


class TooManyLines(Exception):
    """More than may be read at once."""


def json_lines(body: bytes, most: int) -> list[tuple[int, bytes]]:
    """Lines end by \\n or \\r\\n. Raises TooManyLines."""
    if body.count(b"\n") > 2 * most:
        raise TooManyLines
    lines = [
        (number, line) for number, line in enumerate(body.split(b"\n"), 1) if line and not line.isspace()
    ]
    if len(lines) > most:
        raise TooManyLines
    return lines


def is_array(body: bytes) -> bool:
    return body[:1] == b"[" or body[:100].lstrip()[:1] == b"["


def array_elements(body: bytes, most: int) -> list[tuple[int, bytes]]:
    """The elements, each as it stands in the body. Raises NotJson, TooManyLines.

    One by one, so that an array of a million zeros costs no more than the first `most` of them.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise NotJson("it is not UTF-8") from None
    at = _past_space(text, _past_space(text, 0) + 1)
    elements: list[tuple[int, bytes]] = []
    if text[at : at + 1] == "]":
        return _nothing_after(text, at, elements)
    while True:
        try:
            _, end = _decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise NotJson(f"{error.msg} at line {error.lineno} column {error.colno}") from None
        except RecursionError:
            raise NotJson("it is nested too deeply") from None
        except ValueError:  # Python reads no whole number of more than 4300 digits
            raise NotJson("it holds a number that is too long") from None
        if len(elements) == most:
            raise TooManyLines
        elements.append((len(elements) + 1, text[at:end].encode()))
        at = _past_space(text, end)
        if text[at : at + 1] == "]":
            return _nothing_after(text, at, elements)
        if text[at : at + 1] != ",":
            raise NotJson(f"a comma or ] is missing after element {len(elements)}")
        at = _past_space(text, at + 1)


def _nothing_after(text: str, at: int, elements: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    if _past_space(text, at + 1) != len(text):
        raise NotJson("something follows the array")
    return elements


def _past_space(text: str, at: int) -> int:
    found = _skip(text, at)
    return found.end() if found else at
