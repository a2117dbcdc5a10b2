"""How workloads stand and what waits, as tables or as one JSON document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Console

from deploy.follow import with_times
from deploy.tables import print_table
from deploy.waiting_client import Consumer, DeadLetters, Narrowed, WaitingClient
from deploy.what_waits import CONSUMERS, consumer_rows, letters_in_words, waiting
from deploy.workloads_client import Figure, Listed, Status, as_json
from shared.service_client import ServiceRefused

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
        if one.champion_lost:
            _say(console, f"{one.name}: {one.champion_lost}")
        if one.round and one.round.waits_since:
            _say(console, f"{one.name}: {with_times(one.round.sentence, None, one.round.waits_since)}")
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


@dataclass(frozen=True)
class Waits:
    """What waits in the installation; None where it could not be asked."""

    consumers: Sequence[Consumer] | None
    dead_letters: DeadLetters | None
    trouble: str = ""


async def what_waits(asked: WaitingClient) -> Waits:
    """While Kafka or ClickHouse is away the rest is shown all the same. Raises ServiceAway."""
    consumers, letters, trouble = None, None, ""
    try:
        consumers = await asked.consumers()
        letters = await asked.listed(Narrowed(), 0)
    except ServiceRefused as refused:
        trouble = str(refused)
    return Waits(consumers, letters, trouble)


def print_what_waits(console: Console, waits: Waits) -> None:
    """Nothing, while all goes well."""
    if waits.trouble:
        _say(console, f"Not all that waits is known. {waits.trouble}")
    if behind := waiting(waits.consumers or ()):
        console.print()
        print_table(console, CONSUMERS, consumer_rows(behind, datetime.now(UTC)))
    if waits.dead_letters and waits.dead_letters.total:
        _say(console, f"{letters_in_words(waits.dead_letters)} See: tuneloop dead-letters list")


def status_as_json(url: str, statuses: Sequence[Status], waits: Waits) -> str:
    """Every key is there in every case; what is not known is null."""
    consumers, letters = waits.consumers, waits.dead_letters
    return as_json(
        {
            "url": url,
            "workloads": [one.model_dump(mode="json") for one in statuses],
            "consumers": None if consumers is None else [one.model_dump(mode="json") for one in consumers],
            "dead_letters": None if letters is None else letters.total,
        }
    )


def _say(console: Console, words: str) -> None:
    console.print(words, soft_wrap=True, highlight=False, markup=False)


def accuracy(figure: Figure | None) -> str:
    if figure is None:
        return "–"
    return f"{100 * figure.value:.1f} % of {figure.n} ({100 * figure.low:.1f}–{100 * figure.high:.1f})"
