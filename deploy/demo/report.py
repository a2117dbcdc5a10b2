"""The demo's report: one HTML file with everything in it."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, select_autoescape

from deploy.demo import pictures
from deploy.demo.results import ClusterFate, Results, as_percent, as_points, cluster_fates
from deploy.laptop.errors import LaptopError
from deploy.stages import Stage
from shared.files import write_atomically
from shared.workload import Workload


@dataclass(frozen=True)
class Run:
    """How the demo ran on this machine."""

    machine: str
    minutes: float
    peak_gigabytes: float


def ensure_writable(file: Path) -> None:
    """Found out before the demo, not after it. Raises LaptopError."""
    try:
        if file.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        tempfile.TemporaryFile(dir=file.absolute().parent).close()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise LaptopError(
            f"The report cannot be written to {file}: {reason}. Choose another file: --report FILE"
        ) from error


def write_report(file: Path, workload: Workload, stages: Sequence[Stage], results: Results, run: Run) -> None:
    """Writes the report; a reader of the file sees the old one or the new one, whole."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=select_autoescape(), trim_blocks=True
    )
    environment.filters |= {"percent": as_percent, "points": as_points}
    fates = cluster_fates(results.clusters.clusters if results.clusters else [], results.answers)
    page = environment.get_template("report.html").render(
        workload=workload,
        stages=stages,
        results=results,
        run=run,
        fates=fates,
        pictures=_pictures(results, fates),
    )
    write_atomically(file, page.encode())


def _pictures(results: Results, fates: Sequence[ClusterFate]) -> dict[str, str]:
    first = results.first.scorecard
    steps = [
        ("base model, untouched", pictures.BASE, first.base_model),
        ("first champion", pictures.CHAMPION, first.held_out),
    ]
    drawn: dict[str, str] = {}
    if results.evaluated is not None:
        card = results.evaluated.scorecard
        steps.append(("candidate", pictures.CANDIDATE, card.held_out))
        drawn["labels"] = pictures.labels(card.labels)
    if fates:
        drawn["clusters"] = pictures.clusters(fates)
    if results.pairs:
        pairs = sorted(results.pairs, key=lambda pair: pair.recorded_at)
        differing = 0
        points = []
        for number, pair in enumerate(pairs, 1):
            differing += pair.differs
            points.append((pair.recorded_at, number, differing))
        drawn["evidence"] = pictures.evidence(points)
    drawn["accuracy"] = pictures.accuracy(steps)
    return drawn
