"""How workloads stand, as a table or as one JSON document."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from deploy.tables import print_table
from deploy.workloads_client import Figure, Listed, Status, as_json

NONE_YET = "No workload yet. Add one: tuneloop workload add FILE.toml"
STATUS = ("workload", "champion", "accuracy (95 %)", "predictions", "open reviews", "stage")
LIST = ("workload", "title", "revision", "labels", "champion", "stage")


def print_status(console: Console, statuses: Sequence[Status]) -> None:
    if not statuses:
        console.print(NONE_YET, soft_wrap=True, highlight=False)
        return
    rows = [
        (
            one.name,
            one.champion or "none yet",
            accuracy(one.accuracy),
            f"{one.predictions:,}",
            f"{one.open_reviews:,}",
            one.stage,
        )
        for one in statuses
    ]
    print_table(console, STATUS, rows)
    for one in statuses:
        if one.unmatched_feedback:
            share = f"{one.unmatched_feedback:,} of {one.feedback:,} signals of users"
            console.print(f"{one.name}: {share} name no prediction of it.", soft_wrap=True, highlight=False)


def print_list(console: Console, workloads: Sequence[Listed]) -> None:
    if not workloads:
        console.print(NONE_YET, soft_wrap=True, highlight=False)
        return
    rows = [
        (
            one.name,
            one.title,
            str(one.revision),
            str(len(one.labels)),
            one.champion or "none yet",
            "retired" if one.is_retired else one.stage,
        )
        for one in workloads
    ]
    print_table(console, LIST, rows)


def status_as_json(url: str, statuses: Sequence[Status]) -> str:
    """Every key is there in every case; what is not known is null."""
    return as_json({"url": url, "workloads": [one.model_dump(mode="json") for one in statuses]})


def accuracy(figure: Figure | None) -> str:
    if figure is None:
        return "–"
    return f"{100 * figure.value:.1f} % of {figure.n} ({100 * figure.low:.1f}–{100 * figure.high:.1f})"
