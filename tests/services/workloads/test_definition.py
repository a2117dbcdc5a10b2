"""A workload's files: what is wrong is said with its line, before anything starts."""

from __future__ import annotations

import json

import pytest

from services.workloads.complaints import BadWorkload
from services.workloads.definition import read_definition, read_toml
from services.workloads.rows import read_file, read_list
from shared.workload import Workload

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


TICKETS = Workload(
    name="tickets",
    title="?",
    prompt="{text}\nIntent:",
    labels=("refund", "card"),
    renamed={"credit": "card"},
    removed=("parcel",),
)


def definition(text: str) -> str:
    """The complaint about a definition file."""
    with pytest.raises(BadWorkload) as bad:
        read_toml(text.encode(), "tickets.toml")
    return str(bad.value)


def rows(text: str, name: str = "rows.csv") -> str:
    """The complaint about a rows file of a workload with the labels refund and card."""
    with pytest.raises(BadWorkload) as bad:
        read_file(name, text.encode(), TICKETS)
    return str(bad.value)


def many(label: str, count: int) -> str:
    return "".join(f"text {label} {number},{label}\n" for number in range(count))


def test_a_good_definition_is_read_with_the_name_of_its_rows() -> None:
    read = read_toml(GOOD.encode(), "tickets.toml")
    assert read.workload.review.doubt_below == 0.5
    assert read.rows == "rows.csv"
    assert read.was == {}


def test_a_label_may_say_what_it_was_called() -> None:
    renamed = GOOD.replace('"card",', '{ name = "bank card", was = "card" },')
    read = read_toml(renamed.encode(), "tickets.toml")
    assert read.workload.labels == ("refund", "bank card")
    assert read.was == {"bank card": "card"}


@pytest.mark.parametrize(
    "given",
    [
        GOOD.replace('"card",', '{ name = "card", word = "lost" },'),
        GOOD.replace('"card",', '{ name = "card", was = "bank card", word = "lost" },'),
        GOOD + '[words]\ncard = "lost"\n',
        'words = { card = "lost" }\n' + GOOD,
    ],
    ids=["in the label", "with its former name", "as a table", "in a line"],
)
def test_the_word_of_a_label_may_be_named(given: str) -> None:
    assert read_toml(given.encode(), "tickets.toml").workload.words == {"card": "lost"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ('card = "got lost"', 'line 12: words.card: "got lost" is no word that a model writes as one token'),
        ('card = "<|im_end|>"', "is no word that a model writes as one token"),
        ('cart = "lost"', 'words names "cart", which is no label. Check its spelling.'),
    ],
    ids=["two words", "a special token", "no label"],
)
def test_a_named_word_that_cannot_be_is_said_with_its_line(words: str, said: str) -> None:
    assert said in definition(f"{GOOD}[words]\n{words}\n")


def test_a_label_has_one_word() -> None:
    twice = GOOD.replace('"card",', '{ name = "card", word = "lost" },') + '[words]\ncard = "gone"\n'
    assert '"card" has two words. Leave one out.' in definition(twice)


def test_how_often_a_cycle_is_due_may_go_by_its_old_name() -> None:
    read = read_toml((GOOD + "[cycle]\nfailures = 9\n").encode(), "tickets.toml")
    assert read.workload.cycle.corrections == 9


def test_json_is_read_as_strictly_as_toml() -> None:
    with pytest.raises(BadWorkload, match='definition: titel: "titel" is not a setting'):
        read_definition({"titel": "x"}, "definition")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (
            '"card",',
            '"card",\n    "refund",',
            'tickets.toml, line 8: label "refund" appears twice. Remove',
        ),
        ('"{text}', '"', "prompt must hold"),
        ("0.5", "1.5", "tickets.toml, line 10: review.doubt_below"),
        ("doubt_below", "doubt_bellow", 'line 10: review.doubt_bellow: "doubt_bellow" is not a setting'),
        ('"tickets"', '"My Tickets"', "tickets.toml, line 1: name"),
        ('title = "What does the customer want?"\n', "", '"title" is missing'),
        ('rows = "rows.csv"', "rows = 3", 'line 3: rows: write rows = "FILE"'),
        ("title", "removed = []\ntitle", 'line 2: removed: "removed" is not a setting'),
        ("labels = [", "labels = ", "not valid TOML"),
    ],
)
def test_what_is_wrong_in_a_definition_is_said_with_its_line(old: str, new: str, complaint: str) -> None:
    assert complaint in definition(GOOD.replace(old, new, 1))


def test_csv_rows_are_read_whole_with_quotes_and_any_language() -> None:
    tricky = '"Geld zurück, ""bitte""\nsofort 请",refund\n'
    content = "\ufefftext,label\n" + tricky + many("refund", 40) + many("card", 40)
    read = read_file("rows.csv", content.encode(), TICKETS)
    assert read[0].text == 'Geld zurück, "bitte"\nsofort 请'
    assert len(read) == 81


def test_json_lines_may_say_which_rows_are_golden() -> None:
    lines = [{"text": f"t{n}", "label": ["refund", "card"][n % 2], "split": "golden"} for n in range(60)]
    content = "\n".join(map(json.dumps, lines)).encode()
    assert read_file("rows.jsonl", content, TICKETS)[0].split == "golden"
    assert read_list(lines, TICKETS)[0].split == "golden"


def test_rows_of_a_renamed_label_may_go_by_its_old_name() -> None:
    content = "text,label\n" + many("refund", 40) + many("credit", 40)
    assert {row.label for row in read_file("rows.csv", content.encode(), TICKETS)} == {"refund", "card"}


def test_rows_of_a_removed_label_are_said() -> None:
    assert 'label "parcel" is not in the workload' in rows("text,label\nhello,parcel\n")


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
def test_what_is_wrong_in_csv_rows_is_said_with_its_line(text: str, complaint: str) -> None:
    assert complaint in rows(text)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "line 1: not valid JSON"),
        ("[]", "line 1: not a JSON object"),
        ('{"text": 5, "label": "card"}', "line 1: needs a text and a label"),
        ('{"text": "x", "label": "card", "split": "test"}', "line 1: split must be one of"),
    ],
)
def test_what_is_wrong_in_json_lines_is_said_with_its_line(text: str, complaint: str) -> None:
    assert complaint in rows(text, "rows.jsonl")


def test_complaints_are_listed_but_not_without_end() -> None:
    complaint = rows("text,label\n" + "x,wrong\n" * 500)
    assert len(complaint.splitlines()) == 21
    assert complaint.endswith("and 480 more.")


def test_rows_that_are_not_utf8_are_said() -> None:
    with pytest.raises(BadWorkload, match="not UTF-8"):
        read_file("rows.csv", "text,label\nGrüße,card\n".encode("latin-1"), TICKETS)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("/srv/models/mine", '"/srv/models/mine" is no name of a base model. Write a folder\'s name'),
        ("../mine", '"../mine" is no name of a base model.'),
        ("org/name", "Write org/name@REVISION with the 40 hexadecimal digits of a commit"),
    ],
)
def test_a_base_model_that_is_no_name_is_said_with_its_line(name: str, said: str) -> None:
    complaint = definition(GOOD.replace("title", f'base_model = "{name}"\ntitle', 1))
    assert complaint.startswith("tickets.toml, line 2: base_model: ")
    assert said in complaint
