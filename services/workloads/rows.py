"""Labelled rows from CSV, JSON Lines or a JSON body: read, checked line by line."""

from __future__ import annotations

import csv
import difflib
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from services.workloads.complaints import BadWorkload, Complaint
from shared.fields import Text
from shared.workload import Workload

FEWEST_ROWS = 60
FEWEST_OF_A_LABEL = 2
SPLITS = ("train", "golden", "held_out")
_text = TypeAdapter(Text)

Read = Iterator[tuple[str, dict[str, Any] | str]]
"""Where a row stands, and the row, or what is wrong with it."""


@dataclass(frozen=True)
class LabelledRow:
    text: str
    label: str
    split: str | None = None
    """"train", "golden" or "held_out" where the file says so; else tuneloop splits."""

    def as_json(self) -> dict[str, str]:
        row = {"text": self.text, "label": self.label}
        return row if self.split is None else row | {"split": self.split}


def read_file(name: str, content: bytes, workload: Workload) -> list[LabelledRow]:
    """All rows of a `.csv` (header with text and label) or `.jsonl` file. Raises BadWorkload."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problem = f"byte {error.start} is not UTF-8. Save the file as UTF-8."
        raise BadWorkload([Complaint(name, problem)]) from None
    return _checked(
        name, _csv_rows(name, text) if name.endswith(".csv") else _json_rows(name, text), workload
    )


def read_list(rows: Iterable[Any], workload: Workload) -> list[LabelledRow]:
    """All rows of a JSON body. Raises BadWorkload."""
    not_one = "not an object with text and label."
    numbered = (
        (f"rows, number {number}", row if isinstance(row, dict) else not_one)
        for number, row in enumerate(rows, 1)
    )
    return _checked("rows", numbered, workload)


def kept_rows(rows: Iterable[dict[str, Any]], workload: Workload) -> list[LabelledRow]:
    """The rows of an earlier revision as they are now, removed labels' left out. Raises BadWorkload."""
    return _checked("rows", (("rows", row) for row in workload.in_present_labels(rows)), workload)


def repeated_texts(rows: Iterable[LabelledRow]) -> int:
    """How many texts stand there more than once."""
    return sum(count > 1 for count in Counter(row.text for row in rows).values())


def _checked(name: str, source: Read, workload: Workload) -> list[LabelledRow]:
    complaints: list[Complaint] = []
    rows: list[LabelledRow] = []
    for where, row in source:
        problem = row if isinstance(row, str) else _problem(row, workload)
        if problem is None and not isinstance(row, str):
            rows.append(_row(row, workload))
        else:
            complaints.append(Complaint(where, str(problem)))
    if not complaints:
        complaints = _too_few(name, rows, workload.labels)
    if complaints:
        raise BadWorkload(complaints)
    return rows


def _row(row: dict[str, Any], workload: Workload) -> LabelledRow:
    """A row whose label may still go by an earlier name."""
    read = LabelledRow(row["text"], row["label"], row.get("split") or None)
    return replace(read, label=workload.present_name(read.label))


def _too_few(name: str, rows: Sequence[LabelledRow], labels: Sequence[str]) -> list[Complaint]:
    counted = Counter(row.label for row in rows)
    complaints = [
        Complaint(
            name,
            f'label "{label}" has {counted[label]} rows; it needs at least {FEWEST_OF_A_LABEL}. '
            "Add rows or remove the label.",
        )
        for label in labels
        if counted[label] < FEWEST_OF_A_LABEL
    ]
    if len(rows) < FEWEST_ROWS:
        complaints.append(Complaint(name, f"{len(rows)} rows; at least {FEWEST_ROWS} are needed."))
    return complaints


def _csv_rows(name: str, content: str) -> Read:
    reader = csv.DictReader(io.StringIO(content, newline=""), strict=True)
    missing = {"text", "label"} - set(reader.fieldnames or ())
    if missing:
        yield f"{name}, line 1", f"the header lacks {' and '.join(sorted(missing))}."
        return
    try:
        for row in reader:
            yield f"{name}, line {reader.line_num}", row
    except csv.Error as error:
        yield f"{name}, line {reader.line_num}", f"not valid CSV: {error}."


def _json_rows(name: str, content: str) -> Read:
    for number, line in enumerate(content.split("\n"), 1):
        where = f"{name}, line {number}"
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            yield where, "not valid JSON. Each line must be one object with text and label."
            continue
        yield where, row if isinstance(row, dict) else "not a JSON object with text and label."


def _problem(row: dict[str, Any], workload: Workload) -> str | None:
    text, label, split = row.get("text"), row.get("label"), row.get("split")
    if not isinstance(text, str) or not isinstance(label, str):
        return "needs a text and a label, both strings."
    try:
        _text.validate_python(text)
    except ValidationError as error:
        return f"text: {error.errors()[0]['msg'].removeprefix('Value error, ')}."
    if not text.strip():
        return "the text is empty."
    if workload.present_label(label) is None:
        near = difflib.get_close_matches(label, workload.labels, 1)
        hint = f' Did you mean "{near[0]}"?' if near else " Add it to labels or correct the row."
        return f'label "{label}" is not in the workload.{hint}'
    if split and split not in SPLITS:
        return f"split must be one of {', '.join(SPLITS)}, or left out."
    return None
