"""A workload's definition as it is sent: TOML or JSON, read strictly, and every complaint with its line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from services.workloads.complaints import BadWorkload, Complaint, unknown_setting
from shared.workload import Workload

KEPT_BY_US = ("renamed", "removed")
"""Fields of an event's definition that no file may set: they follow from the revisions."""


@dataclass(frozen=True)
class Definition:
    """What somebody wants a workload to be."""

    workload: Workload
    was: Mapping[str, str] = field(default_factory=dict)
    """Label → the name it had before, where the definition says so."""
    rows: str | None = None
    """The file that holds the rows, where the definition names one."""


def read_toml(source: bytes, name: str) -> Definition:
    """The definition in a TOML file's content. `name` is the file's, for complaints. Raises BadWorkload."""
    try:
        text = source.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadWorkload([Complaint(name, "is not UTF-8. Save it as UTF-8.")]) from None
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadWorkload([Complaint(name, f"not valid TOML: {error}.")]) from None
    return read_definition(content, name, text)


def read_definition(content: Mapping[str, Any], name: str, source: str = "") -> Definition:
    """The definition in a TOML file's or JSON body's content. Raises BadWorkload.

    A label is a string, or {"name": …} with "was", the name it had before, and "word", what answers for it.
    """
    given = dict(content)
    rows = given.pop("rows", None)
    complaints = [
        Complaint(_where(name, source, [key]), f"{key}: {unknown_setting(key)}")
        for key in KEPT_BY_US
        if key in given
    ]
    if rows is not None and not isinstance(rows, str):
        complaints.append(Complaint(_where(name, source, ["rows"]), 'rows: write rows = "FILE".'))
    labels, was, words, odd = _labels(given.get("labels"))
    if isinstance(named := given.get("words", {}), dict):
        odd += [f'"{label}" has two words. Leave one out.' for label in words.keys() & named.keys()]
        words |= named
        if words:
            given["words"] = words
    complaints += [Complaint(_where(name, source, ["labels"]), f"labels: {problem}") for problem in odd]
    if labels is not None:
        given["labels"] = labels
    if complaints:
        raise BadWorkload(complaints)
    try:
        return Definition(Workload.written(given), was, rows)
    except ValidationError as error:
        raise BadWorkload([_complaint(name, source, row) for row in error.errors()]) from None


def _labels(given: Any) -> tuple[list[Any] | None, dict[str, str], dict[str, str], list[str]]:
    """The labels' names, former names and words of some of them, and what is wrong with them."""
    if not isinstance(given, list):
        return None, {}, {}, []
    names: list[Any] = []
    told: dict[str, dict[str, str]] = {"was": {}, "word": {}}
    problems = []
    for label in given:
        if not isinstance(label, dict):
            names.append(label)
        elif {"name"} < set(label) <= {"name", *told} and all(_is_text(one) for one in label.values()):
            names.append(label["name"])
            for key in told.keys() & label.keys():
                told[key][label["name"]] = label[key]
        else:
            problems.append(
                'a label is a text, or { name = "new", was = "old", word = "one" } with was, word, or both.'
            )
    was = told["was"]
    twice = sorted({old for old in was.values() if list(was.values()).count(old) > 1})
    problems += [
        f'two labels were "{old}". One label cannot become two: give one a new name.' for old in twice
    ]
    return names, was, told["word"], problems


def _is_text(given: Any) -> bool:
    return isinstance(given, str) and bool(given)


def _complaint(name: str, source: str, error: Any) -> Complaint:
    keys = [str(part) for part in error["loc"]]
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        message = unknown_setting(keys[-1])
    elif error["type"] == "missing":
        return Complaint(name, f'"{".".join(keys)}" is missing. Add it.')
    quoted = re.search(r'"(.+?)" appears twice', message)
    line = _line_of_second(source, quoted.group(1)) if quoted else _line_of_key(source, keys)
    where = f"{name}, line {line}" if line else name
    return Complaint(where, message if quoted or not keys else f"{'.'.join(keys)}: {message}")


def _where(name: str, source: str, keys: list[str]) -> str:
    line = _line_of_key(source, keys)
    return f"{name}, line {line}" if line else name


def _line_of_key(source: str, keys: list[str]) -> int | None:
    """The line where the innermost named key of a path stands; None if the path names none."""
    named = [key for key in keys if not key.isdigit()]
    if not named:
        return None
    section, found = "", None
    for number, line in enumerate(source.splitlines(), 1):
        if header := re.match(r"\s*\[([^\[\]]+)\]", line):
            section = header.group(1).strip()
        elif re.match(rf"\s*\"?{re.escape(named[-1])}\"?\s*=", line) and section == ".".join(named[:-1]):
            found = number
    return found


def _line_of_second(source: str, text: str) -> int | None:
    """The line where a quoted text stands for the second time."""
    seen = 0
    for number, line in enumerate(source.splitlines(), 1):
        seen += len(re.findall(rf"[\"']{re.escape(text)}[\"']", line))
        if seen >= 2:
            return number
    return None
