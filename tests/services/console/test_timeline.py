"""The line over time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.console.page_queries import AliasRevision, Bucket
from services.console.timeline import (
    AUDITED_A_POINT,
    MOST_BUCKETS,
    audit_points,
    bucket_width,
    chart,
    summary,
)
from tests.services.console.examples import NOW

HOUR = timedelta(hours=1)


def hours(*audited: int, right: int = 0) -> list[Bucket]:
    return [Bucket(NOW + n * HOUR, 100, 0.75, each, min(right, each)) for n, each in enumerate(audited)]


def revision(after: timedelta) -> AliasRevision:
    return AliasRevision("x", "promoted", "r1", NOW + after)


@pytest.mark.parametrize("span", [timedelta(0), timedelta(minutes=4), timedelta(days=1), timedelta(days=28)])
def test_a_line_has_no_more_points_than_one_can_see(span: timedelta) -> None:
    assert span / bucket_width(NOW, NOW + span) <= MOST_BUCKETS


def test_a_point_of_the_audit_stands_on_enough_answers() -> None:
    points = audit_points(hours(*[10] * 6), [])
    assert [point.right.n for point in points] == [30, 30]


def test_what_is_left_over_keeps_its_own_n() -> None:
    points = audit_points(hours(AUDITED_A_POINT, 3), [])
    assert [point.right.n for point in points] == [AUDITED_A_POINT, 3]


def test_no_point_mixes_two_champions() -> None:
    points = audit_points(hours(10, 10, 10, 10), [revision(1.5 * HOUR)])
    assert [point.right.n for point in points] == [20, 20]


def test_hours_without_an_audit_make_no_point() -> None:
    assert audit_points(hours(0, 0, 0), []) == []


def test_promotions_before_the_line_begins_are_not_drawn() -> None:
    drawn = chart(hours(30), [revision(-HOUR), revision(0.5 * HOUR)])
    right = next(series for series in drawn["series"] if "markLine" in series)
    assert [mark["name"] for mark in right["markLine"]["data"]] == ["promoted"]


def test_the_chart_is_also_a_sentence_with_every_n() -> None:
    said = summary(hours(30, 30, right=24), [revision(HOUR)]).replace("\u00a0", " ")
    assert said == (
        "Mean confidence 75.0 % over 200 predictions; right in the random audit: "
        "80.0 % (68.2–88.2, n = 60); champion changes: 1."
    )
    assert chart(hours(30, 30, right=24), [revision(HOUR)])["aria"]["label"]["description"] != ""


def test_an_empty_line_can_be_drawn() -> None:
    assert chart([], [])["yAxis"]["min"] == 0
