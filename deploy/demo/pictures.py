"""The report's pictures, as SVG that stands inside the page. Colours mean one thing each everywhere."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from deploy.demo.results import ClusterFate
from shared.events import LabelScore, Rate

CHAMPION, CANDIDATE, BASE, ERROR = "#4361a8", "#c77700", "#8a8f98", "#b3261e"
LINE = "#8a8f98"
ABOVE: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1), "ncols": 2, "frameon": False}
STYLE = {
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.edgecolor": LINE,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "text.parse_math": False,  # a label with two $ is a label
    "svg.fonttype": "none",  # text stays text: the page gives it the colour of its own
    "svg.hashsalt": "tuneloop",
}


def accuracy(stages: Sequence[tuple[str, str, Rate]]) -> str:
    """Accuracy on the held-out rows, stage by stage: (words, colour, rate)."""
    figure, axes = _figure(7.4, 0.6 + 0.5 * len(stages))
    for place, (_, colour, rate) in enumerate(reversed(stages)):
        axes.plot([100 * rate.low, 100 * rate.high], [place, place], color=colour, linewidth=6, alpha=0.35)
        axes.plot([100 * rate.value], [place], "o", color=colour, markersize=9)
        axes.annotate(
            f"{100 * rate.value:.1f} %",
            (100 * rate.value, place),
            (0, 9),
            textcoords="offset points",
            ha="center",
        )
    axes.set_yticks(range(len(stages)), [f"{words} (n={rate.n})" for words, _, rate in reversed(stages)])
    axes.set_ylim(-0.6, len(stages) - 0.2)
    axes.set_xlim(0, 100)
    axes.set_xlabel("held-out accuracy, %")
    return _svg(figure)


def labels(scores: Sequence[LabelScore]) -> str:
    """F1 of each label, champion against candidate."""
    scores = sorted(scores, key=lambda score: score.f1 - (score.champion_f1 or 0))
    figure, axes = _figure(7.4, 0.8 + 0.34 * len(scores))
    for place, score in enumerate(scores):
        before = score.champion_f1 or 0.0
        axes.plot(
            [before, score.f1],
            [place, place],
            color=CANDIDATE if score.f1 >= before else ERROR,
            linewidth=1.5,
        )
        axes.plot([before], [place], "s", color=CHAMPION, label="champion" if place == 0 else None)
        axes.plot([score.f1], [place], "o", color=CANDIDATE, label="candidate" if place == 0 else None)
    axes.set_yticks(range(len(scores)), [f"{score.label} (n={score.n})" for score in scores])
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel("F1 on held-out rows")
    axes.legend(**ABOVE)
    return _svg(figure)


def clusters(fates: Sequence[ClusterFate]) -> str:
    """Held-out errors of each cluster's kind, before and after."""
    figure, axes = _figure(7.4, 0.8 + 0.42 * len(fates))
    for place, fate in enumerate(reversed(fates)):
        axes.barh(place + 0.18, fate.before, 0.34, color=CHAMPION, label="champion" if place == 0 else None)
        axes.barh(place - 0.18, fate.after, 0.34, color=CANDIDATE, label="candidate" if place == 0 else None)
    axes.set_yticks(range(len(fates)), [f"{fate.name} (n={fate.rows})" for fate in reversed(fates)])
    axes.set_xlabel("held-out rows with this error")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(**ABOVE)
    return _svg(figure)


def evidence(points: Sequence[tuple[datetime, int, int]]) -> str:
    """Requests paired and answers that differ, as the shadow went on: (time, pairs, differing)."""
    figure, axes = _figure(7.4, 2.2)
    start = points[0][0]
    minutes = [(when - start).total_seconds() for when, _, _ in points]
    axes.plot(minutes, [pairs for _, pairs, _ in points], color=BASE, label="requests answered by both")
    axes.plot(
        minutes, [differing for _, _, differing in points], color=CANDIDATE, label="answers that differ"
    )
    axes.set_xlabel("seconds in the shadow")
    axes.legend(**ABOVE)
    return _svg(figure)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    with rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots()
    axes.grid(axis="x", color="#8884", linewidth=0.6)
    axes.tick_params(length=0)
    figure.patch.set_alpha(0)
    axes.patch.set_alpha(0)
    return figure, axes


def _svg(figure: Figure) -> str:
    out = io.StringIO()
    with rc_context(STYLE):
        figure.savefig(out, format="svg", metadata={"Date": None})
    picture = out.getvalue()
    return picture[picture.index("<svg") :]
