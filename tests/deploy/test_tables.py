"""Tables and status in terminals of any width and in pipes: nothing is cut, no name is broken."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime

import pytest
from rich.console import Console

from deploy.status import Waits, accuracy, print_list, print_status, status_as_json
from deploy.tables import laid_out
from deploy.workloads_client import Cycle, Figure, Round, Status

CHAMPION = "licences-smollm2-135m-v2-3fa9c1d2"
KEYS = {
    "name", "title", "revision", "labels", "is_retired", "champion", "champion_since", "champion_lost",
    "accuracy", "stage",
    "audited", "agreement", "predictions", "feedback", "unmatched_feedback", "corrections",
    "open_reviews", "last_cycle", "round",
}  # fmt: skip


def status(name: str = "licences", champion: str | None = CHAMPION) -> Status:
    return Status(
        name=name,
        title="Which licence is this notice?",
        revision=3,
        labels=["mit", "apache-2.0"],
        is_retired=False,
        champion=champion,
        champion_since=datetime(2026, 3, 2, tzinfo=UTC) if champion else None,
        accuracy=Figure(value=0.797, n=300, low=0.748, high=0.839) if champion else None,
        stage="shadow",
        audited=None,
        agreement=None,
        predictions=12_400,
        feedback=41,
        corrections=228,
        open_reviews=12,
        last_cycle=Cycle(
            cycle_id="c1", cutoff=datetime(2026, 3, 2, tzinfo=UTC), reason="a week", requested_by="calendar",
            state="over", outcome="held", outcome_reason="no evidence",
        ),
        round=None,
    )  # fmt: skip


def shown(width: int, *, is_terminal: bool) -> list[str]:
    output = io.StringIO()
    console = Console(file=output, width=width, force_terminal=is_terminal, color_system=None)
    print_status(console, [status(), status("medical-codes", None)])
    return output.getvalue().splitlines()


def test_what_waits_for_the_model_server_is_said_below_the_table() -> None:
    output = io.StringIO()
    round_ = Round(
        round_id="c1",
        kind="cycle",
        stage="shadow",
        sentence="waits: it serves another base model.",
        waits_since=datetime(2026, 11, 26, 14, 2).astimezone(),
        is_over=False,
        version=1,
    )
    one = status().model_copy(update={"round": round_})
    print_status(Console(file=output, width=80), [one, status("medical-codes", None)])
    assert output.getvalue().splitlines()[-1] == (
        "licences: waits: it serves another base model. · since 2026-11-26 14:02"
    )


def test_feedback_that_names_no_prediction_is_said_below_the_table() -> None:
    output = io.StringIO()
    one = status().model_copy(update={"unmatched_feedback": 3})
    print_status(Console(file=output, width=80), [one, status("medical-codes", None)])
    assert output.getvalue().splitlines()[-1] == (
        "licences: 3 of 41 signals of users name no prediction of it."
    )


def test_a_champion_that_is_lost_is_said_below_the_table() -> None:
    output = io.StringIO()
    lost = "c-v1 is champion and is lost: it is [not] there. Train anew (tuneloop train licences)."
    print_status(Console(file=output, width=80), [status().model_copy(update={"champion_lost": lost})])
    assert output.getvalue().splitlines()[-1] == f"licences: {lost}"


@pytest.mark.parametrize("width", [50, 60, 80, 200])
def test_a_terminal_of_any_width_shows_whole_names_within_it(width: int) -> None:
    lines = shown(width, is_terminal=True)
    assert any(CHAMPION in line for line in lines)
    assert any("79.7 % of 300 (74.8–83.9)" in line for line in lines)
    assert max(map(len, lines)) <= width
    assert not any("…" in line for line in lines)


def test_where_it_fits_a_row_is_a_line() -> None:
    heading, first, second = shown(200, is_terminal=True)
    assert heading.split()[0] == "workload"
    assert first.index(CHAMPION) == second.index("none yet") == heading.index("champion")


def test_where_it_does_not_fit_the_cells_of_a_row_stand_under_its_name() -> None:
    lines = shown(50, is_terminal=True)
    assert lines[0] == "licences"
    assert [line.strip() for line in lines[1:3]] == ["champion", CHAMPION]
    assert lines[4].split() == ["predictions", "12,400"]
    assert "medical-codes" in lines


@pytest.mark.parametrize("width", [20, 80])
def test_in_a_pipe_every_row_is_one_line_however_wide_it_believes_to_be(width: int) -> None:
    lines = shown(width, is_terminal=False)
    assert len(lines) == 3
    assert CHAMPION in lines[1]
    assert lines[1].endswith("shadow")


def test_long_words_are_never_broken_and_sentences_wrap_between_words() -> None:
    name = "a-very-long-name-that-is-wider-than-the-terminal"
    lines = laid_out(("name", "says"), [("x", name), ("y", "one two three four five six seven")], 30)
    assert any(name in line for line, _ in lines)
    assert all(len(line) <= 30 for line, _ in lines if name not in line)


def test_wide_characters_count_for_what_they_take() -> None:
    lines = [line for line, _ in laid_out(("name", "title"), [("票据", "a"), ("xx", "b")], None)]
    assert lines == ["name  title", "票据  a", "xx    b"]


def test_no_workload_says_how_to_add_one() -> None:
    for show in (print_status, print_list):
        output = io.StringIO()
        show(Console(file=output), [])
        assert "tuneloop workload add FILE.toml" in output.getvalue()


def test_the_list_says_what_is_retired() -> None:
    output = io.StringIO()
    print_list(Console(file=output), [status().model_copy(update={"is_retired": True})])
    assert output.getvalue().splitlines()[1].endswith("retired")


def test_status_as_json_is_one_document_with_every_key_in_every_case() -> None:
    document = json.loads(status_as_json("http://here", [status(), status("new", None)], Waits(None, None)))
    assert document.keys() == {"url", "workloads", "consumers", "dead_letters"}
    assert [one.keys() for one in document["workloads"]] == [KEYS, KEYS]
    assert document["workloads"][1]["champion"] is None
    assert document["workloads"][0]["accuracy"] == {"value": 0.797, "n": 300, "low": 0.748, "high": 0.839}


def test_an_accuracy_that_is_not_known_is_a_dash() -> None:
    assert accuracy(None) == "–"
