"""A workload's TOML file: read, checked, and every complaint with its line."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from shared.workload import Workload


class BadWorkload(Exception):
    """The file cannot be used. The message has one line per complaint: where, what, and what to do."""


@dataclass(frozen=True)
class Definition:
    workload: Workload
    rows: Path


def read_definition(file: Path) -> Definition:
    """The workload and the path of its rows (`rows = "…"`, relative to the file). Raises BadWorkload."""
    try:
        source = file.read_text("utf-8")
    except OSError as error:
        raise BadWorkload(f"workload {file}: cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        raise BadWorkload(f"workload {file}: is not UTF-8. Save it as UTF-8.") from None
    try:
        content = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise BadWorkload(f"workload {file.name}: not valid TOML: {error}.") from None
    rows = content.pop("rows", None)
    if not isinstance(rows, str):
        raise BadWorkload(f'workload {file.name}: add rows = "FILE", labelled rows as CSV or JSON Lines.')
    try:
        return Definition(Workload.written(content), file.parent / rows)
    except ValidationError as error:
        raise BadWorkload("\n".join(_complaint(file.name, source, row) for row in error.errors())) from None


def _complaint(name: str, source: str, error: Any) -> str:
    keys = [str(part) for part in error["loc"]]
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        message = f'"{keys[-1]}" is no setting. Check its spelling.'
    elif error["type"] == "missing":
        return f'workload {name}: "{".".join(keys)}" is missing. Add it.'
    quoted = re.search(r'"(.+?)" appears twice', message)
    line = _line_of_second(source, quoted.group(1)) if quoted else _line_of_key(source, keys)
    where = f"workload {name}, line {line}" if line else f"workload {name}"
    what = message if quoted or not keys else f"{'.'.join(keys)}: {message}"
    return f"{where}: {what}"


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
