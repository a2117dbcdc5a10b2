"""Made `data-0.1.tar.xz`: a data folder as version 0.1 leaves it. Runs on the code of commit aad875f alone.

    git worktree add /tmp/v01 aad875f && cd /tmp/v01
    sed -i 's/target_modules="all-linear"/target_modules=["v_proj"]/' services/retraining/trainer.py
    PYTHONPATH=/tmp/v01 python …/make_0_1.py /tmp/tuneloop-0.1-data data-0.1.tar.xz expected-0.1.json

The changed line makes the adapters a hundredth of their size and changes nothing that is stored about them.
The folder may hold `models/`, so that the base model is not converted again; it is not packed, and neither
are logs and passwords. So that the folder stays as it is for ever, its tables lose their time to live, and
no correction is newer than the last cycle: none is ever due.
"""

# mypy: ignore-errors
from __future__ import annotations

import asyncio
import json
import random
import sys
import tarfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
from deploy.demo.players import App, Reviewer
from deploy.watch import Watch, watching
from deploy.workloads.add import add_workload
from deploy.workloads.rows import LabelledRow
from shared.tables import connect

from deploy.laptop.laptop import Laptop, LaptopSettings, start_laptop
from shared.events import (
    CandidateJudged,
    FailureClustersFound,
    FeedbackGiven,
    ModelPromoted,
    PredictionLogged,
    ReviewGiven,
)
from shared.workload import Cycle, Promotion, Review, Split, Training, Workload

NAME = "tickets"
SENTENCES = {
    "billing": [
        "Invoice {n} is wrong",
        "I was billed twice for {n}",
        "I was charged again for bill {n}",
    ],
    "delivery": ["The parcel {n} was not delivered", "The courier lost {n}", "Where is the delivery of {n}"],
    "refund": ["I want my money back for {n}", "I returned {n}, refund me", "Please refund order {n}"],
}
WORKLOAD = Workload(
    name=NAME,
    title="What is this ticket about?",
    prompt="{text}\nTopic:",
    labels=tuple(SENTENCES),
    review=Review(doubt_below=0.9, audit_share=0.2, double_share=0.3),
    cycle=Cycle(failures=100_000, every_days=365),
    split=Split(golden=20, held_out=45),
    training=Training(rank=1, learning_rate=0.01, epochs=1, max_steps=12, batch_size=8),
    promotion=Promotion(max_pairs=12),
)
KEPT = ("clickhouse", "files", "kafka", "state")


def tickets(count: int) -> list[LabelledRow]:
    chance = random.Random(1)
    rows: dict[str, LabelledRow] = {}
    while len(rows) < count:
        label = chance.choice(list(SENTENCES))
        text = chance.choice(SENTENCES[label]).format(n=chance.randint(1000, 9999))
        text += chance.choice([".", "!", ", says Anna Schmidt.", ", please help.", " since Monday."])
        rows[text] = LabelledRow(text, label)
    return list(rows.values())


async def main(folder: Path, archive: Path, expected: Path) -> None:
    rows = tickets(310)
    settings = LaptopSettings(folder, 0, 0, 0, 0, 0)
    async with (
        asyncio.timeout(1500),
        start_laptop(settings, lambda step, detail: print(step, detail, flush=True)) as laptop,
        aiohttp.ClientSession() as session,
        watching(laptop.addresses.kafka_bootstrap_servers) as watch,
    ):
        counted = await go_round(laptop, session, watch, rows[:220], rows[220:])
    await asyncio.to_thread(expected.write_text, json.dumps(counted, indent=2) + "\n")
    with tarfile.open(archive, "w:xz", preset=9) as packed:
        for name in KEPT:
            packed.add(folder / name, name)


async def go_round(
    laptop: Laptop,
    session: aiohttp.ClientSession,
    watch: Watch,
    labelled: list[LabelledRow],
    stream: list[LabelledRow],
) -> dict[str, object]:
    """A champion, production, a cycle to its verdict, production again; some items stay in the queue."""
    await add_workload(WORKLOAD, labelled, laptop.addresses)
    first = await watch.first(CandidateJudged)
    assert first.verdict == "PROMOTE", first
    await watch.first(ModelPromoted)
    print("champion", flush=True)
    await until(lambda: is_open(session, laptop))
    right = {row.text: row.label for row in stream}
    app = App(laptop.gateway_url, laptop.services_url, NAME, session)
    reviewers = [
        Reviewer(name, laptop.services_url, NAME, right.__getitem__, session) for name in ("ada", "grace")
    ]
    await app.send(stream[:40], 8)
    for reviewer in reviewers:
        await reviewer.review(12, patience_seconds=10)
    cycle = {"requested_by": "fixture", "reason": "once round"}
    async with session.post(f"{laptop.services_url}/workloads/{NAME}/cycles", json=cycle) as reply:
        reply.raise_for_status()
    await watch.first(FailureClustersFound)
    print("clustered", flush=True)
    judged = asyncio.create_task(watch.first(CandidateJudged, when=lambda event: event.cycle_id is not None))
    for row in stream[40:80]:
        if judged.done():
            break
        await app.send([row], 2)
        await asyncio.wait({judged}, timeout=4)
    print("judged", await judged, flush=True)
    await app.send(stream[80:], 8)
    given = sum(reviewer.reviews for reviewer in reviewers)
    thumbs = sum(one.thumb is not None for one in app.answered)
    await until(lambda: seen(watch, ReviewGiven, given))
    await until(lambda: seen(watch, FeedbackGiven, thumbs))
    await until(lambda: seen(watch, PredictionLogged, len(app.answered)))
    await asyncio.sleep(10)  # until every table has settled
    return await counts(laptop)


async def counts(laptop: Laptop) -> dict[str, object]:
    clickhouse = await connect(laptop.addresses.clickhouse_url)
    try:
        numbers = {
            name: (await clickhouse.rows(f"SELECT count() AS n FROM {table}"))[0]["n"]
            for name, table in {
                "predictions": "predictions_v1",
                "feedback": "feedback_v1",
                "reviews": "reviews_v1",
                "open": "review_items_v1 WHERE state = 'open'",
                "corrections": "corrections_v1",
                "pairs": "pairs_v1",
            }.items()
        }
        since = "corrections_v1 WHERE corrected_at > (SELECT max(cut) FROM cycles_v1)"
        assert await clickhouse.rows(f"SELECT 1 FROM {since}") == []
        for table in ("predictions", "feedback", "flags", "review_items"):
            await clickhouse.command(f"ALTER TABLE {table} REMOVE TTL")
        said = "SELECT adapter FROM champions_v1 ORDER BY revision DESC LIMIT 1"
        versions = "SELECT version, dataset_id, train_digest FROM datasets_v1 ORDER BY version"
        verdicts = "SELECT run_id, verdict FROM verdicts_v1 ORDER BY judged_at"
        runs = "SELECT run_id, state, candidate FROM runs_v1 ORDER BY changed_at"
        return numbers | {
            "champion": (await clickhouse.rows(said))[0]["adapter"],
            "cycles": await clickhouse.rows("SELECT cycle_id, requested_by FROM cycles_v1"),
            "datasets": await clickhouse.rows(versions),
            "verdicts": await clickhouse.rows(verdicts),
            "runs": await clickhouse.rows(runs),
        }
    finally:
        await clickhouse.close()


async def is_open(session: aiohttp.ClientSession, laptop: Laptop) -> bool:
    async with session.get(f"{laptop.gateway_url}/v1/models") as reply:
        return NAME in {row["id"] for row in (await reply.json())["data"]}


async def seen(watch: Watch, kind: type, count: int) -> bool:
    return len(watch.seen(kind)) >= count


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    while not await true():
        await asyncio.sleep(0.2)


if __name__ == "__main__":
    asyncio.run(main(*(Path(argument).resolve() for argument in sys.argv[1:])))
