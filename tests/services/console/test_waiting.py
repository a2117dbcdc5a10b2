"""What waits is said on the first page in sentences, with since when; nothing is said while all goes well."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.console.templating import make_render
from services.console.waiting import Consumer, SetApart, waiting

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def consumer(oldest_seconds: float | None, *apart: SetApart) -> Consumer:
    return Consumer(
        service="human_review", topic="review-given-v1", behind=1200, oldest_seconds=oldest_seconds,
        set_apart=list(apart),
    )  # fmt: skip


def test_nothing_is_said_while_all_goes_well() -> None:
    assert waiting([consumer(None), consumer(3.0)], 0, NOON) == []


def test_what_stands_still_comes_before_what_is_behind_and_what_was_set_aside() -> None:
    apart = SetApart(partition=2, since=NOON - timedelta(minutes=7), why="ClickHouse did not answer")
    standing, behind, aside = waiting([consumer(600.0), consumer(2.0, apart)], 3, NOON)
    assert standing.sentence == (
        "human_review stands still on review-given-v1, partition 2: ClickHouse did not answer"
    )
    assert standing.since == NOON - timedelta(minutes=7)
    assert behind.sentence == "human_review is 1,200 records behind on review-given-v1"
    assert behind.since == NOON - timedelta(minutes=10)
    assert aside.sentence.startswith("3 dead letters wait")


def test_the_page_says_since_when_and_is_silent_when_nothing_waits() -> None:
    render = make_render(lambda: NOON)
    page = render("waiting.html", waiting=waiting([consumer(600.0)], 0, NOON))
    assert "10 min ago" in page
    assert "1,200 records behind" in page
    assert render("waiting.html", waiting=[]).strip() == ""
