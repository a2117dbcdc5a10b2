"""Figures as people read them: shares with n and interval, differences in points, times as distances."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from shared.events import Difference, Rate

NO_BREAK = "\u00a0"  # a space at which no line ends
MINUTE, HOUR, DAY = 60, 3600, 86400


@dataclass(frozen=True)
class When:
    """A time as people say it; `exact` is shown on hover and `iso` lets the browser tell local time."""

    relative: str
    exact: str
    iso: str


def when(moment: datetime, now: datetime) -> When:
    """How long ago (or how soon) `moment` is. Both times carry a zone."""
    moment = moment.astimezone(UTC)
    return When(
        relative=relative(int((now - moment).total_seconds())),
        exact=f"{moment:%a %d %b %Y, %H:%M:%S} UTC",
        iso=moment.isoformat(timespec="milliseconds"),
    )


def relative(seconds: int) -> str:
    """A distance in time in its largest unit: "3 min ago", "in 2 h". Days beyond two weeks become weeks."""
    distance = abs(seconds)
    if distance < 5:
        return "just now"
    if distance < MINUTE:
        said = f"{distance} s"
    elif distance < HOUR:
        said = f"{distance // MINUTE} min"
    elif distance < 2 * DAY:
        said = f"{distance // HOUR} h"
    elif distance < 14 * DAY:
        said = f"{distance // DAY} days"
    else:
        said = f"{distance // (7 * DAY)} weeks"
    return f"{said} ago" if seconds > 0 else f"in {said}"


def percent(share: float) -> str:
    return f"{100 * share:.1f}{NO_BREAK}%"


def interval(rate: Rate) -> str:
    """The 95 % interval of a share: "75.0–84.1"."""
    return f"{100 * rate.low:.1f}–{100 * rate.high:.1f}"


def share(rate: Rate) -> str:
    """A share with all that belongs to it: "79.7 % (75.0–84.1, n = 300)"."""
    if rate.n == 0:
        return "not measured (n = 0)"
    return f"{percent(rate.value)} ({interval(rate)}, {rows(rate.n)})"


def points(value: float) -> str:
    """A difference of shares in points, with a real minus: "+11.7", "−0.7", "0.0"."""
    rounded = round(100 * value, 1)
    if rounded == 0:
        return "0.0"
    return f"{'+' if rounded > 0 else '−'}{abs(rounded):.1f}"


def difference(value: Difference) -> str:
    """ "+11.7 points (+6.9 to +16.5, n = 300)"."""
    if value.n == 0:
        return "not measured (n = 0)"
    return f"{points(value.delta)} points ({span(value)}, {rows(value.n)})"


def span(value: Difference) -> str:
    """The 95 % interval of a difference, in points: "+6.9 to +16.5"."""
    return f"{points(value.low)} to {points(value.high)}".replace(" ", NO_BREAK)


def rows(n: int) -> str:
    """How many a figure stands on: "n = 300"."""
    return f"n = {n:,}".replace(" ", NO_BREAK)


def evidence(e_value: float) -> str:
    """An e-value in three digits; large ones are rounded to what one can say aloud."""
    if e_value >= 1_000_000:
        return f"10^{len(str(int(e_value))) - 1}"
    if e_value >= 100:
        return f"{e_value:,.0f}"
    return f"{e_value:.3g}"


def count(n: int, one: str, many: str = "") -> str:
    """ "1 prediction", "1,204 predictions"."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"
