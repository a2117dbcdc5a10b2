"""The line over time: how sure the model was, what the random audit found, and when the champion changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from services.console.figures import percent, share
from services.console.page_queries import AliasRevision, Bucket
from shared.events import Rate
from shared.intervals import wilson

MOST_BUCKETS = 60
AUDITED_A_POINT = 25  # fewer answers show chance, not the model
WIDTHS = tuple(
    timedelta(seconds=seconds) for seconds in (10, 30, 60, 300, 900, 3600, 6 * 3600, 86400, 7 * 86400)
)

# Middle tones that read on light and dark alike: a canvas does not know the page's colours.
CONFIDENCE, CHAMPION, QUIET = "#8a919c", "#3f82d8", "#8a919c"
RIGHT, SURE = "right in the audit (95 %)", "mean confidence"
TOOLTIP = "(point) => point.data.name || point.data[2] || ''"


def bucket_width(first: datetime, last: datetime) -> timedelta:
    """The narrowest width that keeps the line within MOST_BUCKETS points."""
    span = last - first
    return next((width for width in WIDTHS if span <= width * MOST_BUCKETS), WIDTHS[-1])


@dataclass(frozen=True)
class AuditPoint:
    """What the random audit found around a time, of one champion's answers."""

    at: datetime
    right: Rate


def audit_points(buckets: Sequence[Bucket], revisions: Sequence[AliasRevision]) -> list[AuditPoint]:
    """Buckets put together until a point has AUDITED_A_POINT answers; none across a change of champion.

    What is left over at a change or at the end makes a point of its own, with its wider interval.
    """
    changes = sorted(one.since for one in revisions)
    points: list[AuditPoint] = []
    waiting: list[Bucket] = []

    def close() -> None:
        audited = sum(one.audited for one in waiting)
        if audited:
            middle = waiting[0].start + (waiting[-1].start - waiting[0].start) / 2
            points.append(AuditPoint(middle, wilson(sum(one.right for one in waiting), audited)))
        waiting.clear()

    for bucket in buckets:
        if waiting and any(waiting[-1].start < change <= bucket.start for change in changes):
            close()
        waiting.append(bucket)
        if sum(one.audited for one in waiting) >= AUDITED_A_POINT:
            close()
    close()
    return points


def chart(buckets: Sequence[Bucket], revisions: Sequence[AliasRevision]) -> dict[str, Any]:
    """An ECharts option. Times are milliseconds since 1970, shares are in per cent."""
    points = audit_points(buckets, revisions)
    confidence = [[_millis(one.start), _percent(one.confidence)] for one in buckets]
    right = [[_millis(one.at), _percent(one.right.value), share(one.right)] for one in points]
    low = [[_millis(one.at), _percent(one.right.low)] for one in points]
    width = [[_millis(one.at), _percent(one.right.high - one.right.low)] for one in points]
    lowest = min((value for _, value in low + confidence), default=0.0)
    band = {
        "type": "line",
        "stack": "interval",
        "symbol": "none",
        "silent": True,
        "lineStyle": {"opacity": 0},
    }
    axis = {"axisLabel": {"color": QUIET, "hideOverlap": True}}
    return {
        "animation": False,
        "aria": {"enabled": True, "label": {"description": summary(buckets, revisions)}},
        "grid": {"left": 48, "right": 20, "top": 56, "bottom": 28},
        "legend": {"top": 0, "left": 0, "textStyle": {"color": QUIET}, "data": [RIGHT, SURE], "itemGap": 18},
        "tooltip": {"trigger": "item", "confine": True, ":formatter": TOOLTIP},
        "xAxis": axis
        | {"type": "time", "splitLine": {"show": False}, "axisLine": {"lineStyle": {"color": QUIET}}},
        "yAxis": {
            "type": "value",
            "min": int(lowest / 10) * 10,  # so that a change can be seen
            "max": 100,
            "axisLabel": {"color": QUIET, "formatter": "{value} %"},
            "splitLine": {"lineStyle": {"color": QUIET, "opacity": 0.2}},
        },
        "series": [
            band | {"name": "low", "data": low},
            band | {"name": "interval", "data": width, "areaStyle": {"color": CHAMPION, "opacity": 0.16}},
            {
                "name": RIGHT,
                "type": "line",
                "symbol": "circle",
                "symbolSize": 8,
                "color": CHAMPION,
                "lineStyle": {"width": 2.5},
                "data": right,
                "markLine": _changes(revisions, buckets),
            },
            {
                "name": SURE,
                "type": "line",
                "symbol": "none",
                "color": CONFIDENCE,
                "lineStyle": {"width": 1.5, "type": "dashed"},
                "data": confidence,
            },
        ],
    }


def summary(buckets: Sequence[Bucket], revisions: Sequence[AliasRevision]) -> str:
    """The chart in a sentence, for whoever does not see it, with every n and the interval."""
    n = sum(one.predictions for one in buckets)
    if not n:
        return "No predictions yet."
    confidence = sum(one.confidence * one.predictions for one in buckets) / n
    audit = wilson(sum(one.right for one in buckets), sum(one.audited for one in buckets))
    since = [one for one in revisions if one.since >= buckets[0].start]
    return (
        f"Mean confidence {percent(confidence)} over {n:,} predictions; right in the random audit: "
        f"{share(audit)}; champion changes: {len(since)}."
    )


def _changes(revisions: Sequence[AliasRevision], buckets: Sequence[Bucket]) -> dict[str, Any]:
    first = buckets[0].start if buckets else None
    shown = [one for one in revisions if first is None or one.since >= first]
    return {
        "symbol": ["none", "triangle"],
        "symbolSize": 8,
        "lineStyle": {"color": CHAMPION, "type": "solid", "width": 1},
        "label": {"color": QUIET, "fontSize": 11, "formatter": "{b}", "distance": 10},
        "data": [
            {"xAxis": _millis(one.since), "name": "rollback" if one.kind == "rolled back" else "promoted"}
            for one in shown
        ],
    }


def _percent(value: float) -> float:
    return round(100 * value, 1)


def _millis(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
