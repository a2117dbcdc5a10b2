"""Labelled rows from CSV or JSON Lines: read, checked line by line."""

from __future__ import annotations

import csv
import difflib
import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from deploy.workloads.definition import BadWorkload
from services.workloads.rows import LabelledRow
from shared.fields import Text

MOST_COMPLAINTS = 20
FEWEST_ROWS = 60
SPLITS = ("train", "golden", "held_out")
_text = TypeAdapter(Text)


def read_rows(file: Path, labels: Sequence[str]) -> list[LabelledRow]:
    """All rows of a `.csv` (header with text and label) or `.jsonl` file. Raises BadWorkload."""
    try:
        content = file.read_text("utf-8-sig")
    except OSError as error:
        raise BadWorkload(f"rows {file}: cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError as error:
        raise BadWorkload(
            f"rows {file.name}: byte {error.start} is not UTF-8. Save the file as UTF-8."
        ) from None
    source = _csv_rows(file.name, content) if file.suffix == ".csv" else _json_rows(file.name, content)
    complaints: list[str] = []
    rows: list[LabelledRow] = []
    known = set(labels)
    for line, row in source:
        complaint = row if isinstance(row, str) else _complaint(row, known)
        if complaint is None and not isinstance(row, str):
            rows.append(LabelledRow(row["text"], row["label"], row.get("split") or None))
        else:
            complaints.append(f"rows {file.name}, line {line}: {complaint}")
    counted = Counter(row.label for row in rows)
    if not complaints:
        complaints += [
            f'rows {file.name}: label "{label}" has {counted[label]} rows; it needs at least 2. '
            "Add rows or remove the label."
            for label in labels
            if counted[label] < 2
        ]
        if len(rows) < FEWEST_ROWS:
            complaints.append(f"rows {file.name}: {len(rows)} rows; at least {FEWEST_ROWS} are needed.")
    if complaints:
        more = len(complaints) - MOST_COMPLAINTS
        shown = complaints[:MOST_COMPLAINTS] + ([f"… and {more} more."] if more > 0 else [])
        raise BadWorkload("\n".join(shown))
    return rows


def _csv_rows(name: str, content: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    reader = csv.DictReader(io.StringIO(content, newline=""), strict=True)
    missing = {"text", "label"} - set(reader.fieldnames or ())
    if missing:
        raise BadWorkload(f"rows {name}, line 1: the header lacks {' and '.join(sorted(missing))}.")
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        yield reader.line_num, f"not valid CSV: {error}."


def _json_rows(name: str, content: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            yield number, "not valid JSON. Each line must be one object with text and label."
            continue
        yield number, row if isinstance(row, dict) else "not a JSON object with text and label."


def _complaint(row: dict[str, Any], labels: set[str]) -> str | None:
    text, label, split = row.get("text"), row.get("label"), row.get("split")
    if not isinstance(text, str) or not isinstance(label, str):
        return "needs a text and a label, both strings."
    try:
        _text.validate_python(text)
    except ValidationError as error:
        return f"text: {error.errors()[0]['msg'].removeprefix('Value error, ')}."
    if not text.strip():
        return "the text is empty."
    if label not in labels:
        near = difflib.get_close_matches(label, labels, 1)
        hint = f' Did you mean "{near[0]}"?' if near else " Add it to labels or correct the row."
        return f'label "{label}" is not in the workload.{hint}'
    if split and split not in SPLITS:
        return f"split must be one of {', '.join(SPLITS)}, or left out."
    return None
