"""Where the eight stages stand on their ring, and the arcs that lead from each to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import asin, cos, pi, sin

from services.console.cycle_status import STAGES, ShownStage, Stage, StageState

SIZE = 360.0
RADIUS = 122.0
NODE = 19.0
GAP = 7.0  # between an arc's end and a node's edge

SIGNS = {StageState.DONE: "✓", StageState.WORKING: "●", StageState.FAILED: "!"}


@dataclass(frozen=True)
class Node:
    """A stage on the ring: its centre, where its name stands, and the sign in it."""

    stage: Stage
    state: StageState
    x: float
    y: float
    label_x: float
    label_y: float
    label_anchor: str
    """Where the name hangs: SVG's "start", "middle" or "end"."""
    sign: str


@dataclass(frozen=True)
class Arc:
    """An SVG path from one node to the next; `is_walked` when this round has come along it."""

    path: str
    is_walked: bool


@dataclass(frozen=True)
class Ring:
    nodes: list[Node]
    arcs: list[Arc]


def ring(shown: Sequence[ShownStage]) -> Ring:
    """The ring's picture in a square of SIZE units. `shown` holds every stage, in order."""
    working = next((i for i, one in enumerate(shown) if one.state is StageState.WORKING), None)
    start = STAGES.index(Stage.FAILURES)
    nodes = []
    for index, one in enumerate(shown):
        x, y = _place(_angle(index))
        sign = SIGNS.get(one.state, str(index + 1))
        nodes.append(Node(one.stage, one.state, round(x, 1), round(y, 1), *_label(x, y), sign))
    arcs = [Arc(_arc(index), working is not None and start <= index < working) for index in range(len(shown))]
    return Ring(nodes, arcs)


def _angle(index: int) -> float:
    """Radians from the x axis, clockwise as SVG counts; the first stage is at the top."""
    return 2 * pi * index / len(STAGES) - pi / 2


def _place(angle: float) -> tuple[float, float]:
    return SIZE / 2 + RADIUS * cos(angle), SIZE / 2 + RADIUS * sin(angle)


def _label(x: float, y: float) -> tuple[float, float, str]:
    """Beside its node, on the outside: above the top one, below the lowest, left or right of the others."""
    middle = SIZE / 2
    if abs(x - middle) < 1:
        return middle, round(y - NODE - 10 if y < middle else y + NODE + 20, 1), "middle"
    is_right = x > middle
    return round(x + (NODE + 8) * (1 if is_right else -1), 1), round(y + 5, 1), "start" if is_right else "end"


def _arc(index: int) -> str:
    inset = 2 * asin((NODE + GAP) / (2 * RADIUS))
    x1, y1 = _place(_angle(index) + inset)
    x2, y2 = _place(_angle(index + 1) - inset)
    return f"M{x1:.1f} {y1:.1f}A{RADIUS:g} {RADIUS:g} 0 0 1 {x2:.1f} {y2:.1f}"
