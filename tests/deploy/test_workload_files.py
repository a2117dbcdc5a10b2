"""A workload's files: what is wrong is said with its line, before anything starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy.workloads.definition import BadWorkload, read_definition
from deploy.workloads.rows import read_rows

GOOD = """\
name = "tickets"
title = "What does the customer want?"
rows = "rows.csv"
prompt = "{text}\\nIntent:"
labels = [
    "refund",
    "card",
]
[review]
doubt_below = 0.5
"""


def definition(tmp_path: Path, text: str) -> str:
    """The complaint about a definition file."""
    file = tmp_path / "tickets.toml"
    file.write_text(text, "utf-8")
    with pytest.raises(BadWorkload) as bad:
        read_definition(file)
    return str(bad.value)


def rows(tmp_path: Path, text: str, name: str = "rows.csv") -> str:
    """The complaint about a rows file of a workload with the labels refund and card."""
    file = tmp_path / name
    file.write_text(text, "utf-8")
    with pytest.raises(BadWorkload) as bad:
        read_rows(file, ["refund", "card"])
    return str(bad.value)


def many(label: str, count: int) -> str:
    return "".join(f"text {label} {number},{label}\n" for number in range(count))


def test_a_good_definition_is_read_with_its_rows_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "tickets.toml"
    file.write_text(GOOD, "utf-8")
    read = read_definition(file)
    assert read.workload.review.doubt_below == 0.5
    assert read.rows == tmp_path / "rows.csv"


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (
            '"card",',
            '"card",\n    "refund",',
            'workload tickets.toml, line 8: label "refund" appears twice. Remove',
        ),
        ('"{text}', '"', "prompt must hold"),
        ("0.5", "1.5", "workload tickets.toml, line 10: review.doubt_below"),
        ("doubt_below", "doubt_bellow", 'line 10: review.doubt_bellow: "doubt_bellow" is no setting'),
        ('"tickets"', '"My Tickets"', "workload tickets.toml, line 1: name"),
        ('title = "What does the customer want?"\n', "", '"title" is missing'),
        ('rows = "rows.csv"\n', "", 'add rows = "FILE"'),
        ("labels = [", "labels = ", "not valid TOML"),
    ],
)
def test_what_is_wrong_in_a_definition_is_said_with_its_line(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    assert complaint in definition(tmp_path, GOOD.replace(old, new))


def test_a_missing_definition_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadWorkload, match="cannot be read"):
        read_definition(tmp_path / "none.toml")


def test_csv_rows_are_read_whole_with_quotes_and_any_language(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    tricky = '"Geld zurück, ""bitte""\nsofort 请",refund\n'
    file.write_text("\ufefftext,label\n" + tricky + many("refund", 40) + many("card", 40), "utf-8")
    read = read_rows(file, ["refund", "card"])
    assert read[0].text == 'Geld zurück, "bitte"\nsofort 请'
    assert len(read) == 81


def test_json_lines_may_say_which_rows_are_golden(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    lines = [{"text": f"t{n}", "label": ["refund", "card"][n % 2], "split": "golden"} for n in range(60)]
    file.write_text("\n".join(map(json.dumps, lines)), "utf-8")
    assert read_rows(file, ["refund", "card"])[0].split == "golden"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("text\nx\n", "line 1: the header lacks label"),
        ("text,label\nhello,refnd\n", 'line 2: label "refnd" is not in the workload. Did you mean "refund"?'),
        ("text,label\n ,refund\n", "line 2: the text is empty"),
        ("text,label\nhello\n", "line 2: needs a text and a label"),
        (f"text,label\n{'x' * 70_000},card\n", "line 2: text: longer than 64 KiB"),
        ("text,label\n" + many("refund", 70), 'label "card" has 0 rows'),
        ("text,label\n" + many("refund", 5) + many("card", 5), "10 rows; at least 60"),
        ('text,label\n"open,refund\n', "not valid CSV"),
    ],
)
def test_what_is_wrong_in_csv_rows_is_said_with_its_line(tmp_path: Path, text: str, complaint: str) -> None:
    assert complaint in rows(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "line 1: not valid JSON"),
        ("[]", "line 1: not a JSON object"),
        ('{"text": 5, "label": "card"}', "line 1: needs a text and a label"),
        ('{"text": "x", "label": "card", "split": "test"}', "line 1: split must be one of"),
    ],
)
def test_what_is_wrong_in_json_lines_is_said_with_its_line(tmp_path: Path, text: str, complaint: str) -> None:
    assert complaint in rows(tmp_path, text, "rows.jsonl")


def test_complaints_are_listed_but_not_without_end(tmp_path: Path) -> None:
    complaint = rows(tmp_path, "text,label\n" + "x,wrong\n" * 500)
    assert len(complaint.splitlines()) == 21
    assert complaint.endswith("and 480 more.")


def test_rows_that_are_not_utf8_are_said(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_bytes("text,label\nGrüße,card\n".encode("latin-1"))
    with pytest.raises(BadWorkload, match="not UTF-8"):
        read_rows(file, ["refund", "card"])
