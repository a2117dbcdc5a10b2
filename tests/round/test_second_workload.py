"""Once round the loop with another workload, on the whole system, while its processes are killed.

Medical codes (ICD-10-CM, 21 chapters) instead of licences: nothing of the demo's task stands in service code.
The model is trained for a few steps only; what is held here are the counts and the path, not the accuracy.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import aiohttp
import psutil
import simple_icd_10_cm as icd
from rich.console import Console

from deploy.demo.add_workload import add_workload
from deploy.demo.follow_events import follow_to
from deploy.demo.simulated_users import App, Reviewer
from deploy.demo.watch import Watch, watching
from deploy.laptop.laptop import Laptop, LaptopSettings, start_laptop
from deploy.stages import Stage, Stages
from services.workloads.rows import LabelledRow
from shared.clickhouse import connect
from shared.events import (
    CandidateEvaluated,
    CandidateJudged,
    DatasetPublished,
    FailureClustersFound,
    FeedbackGiven,
    ModelPromoted,
    PredictionCorrected,
    ReviewGiven,
    ShadowPairRecorded,
)
from shared.files import Files
from shared.kafka import Kafka
from shared.workload import Cycle, Promotion, Review, Split, Training, Workload
from tests.servers.model import base_model_folder

LONGEST_SECONDS = 500  # a loop that stands still fails, and does not hang
CHAPTERS = [
    "infection",
    "cancer",
    "blood",
    "hormones",
    "mind",
    "nerves",
    "eye",
    "ear",
    "heart",
    "lungs",
    "stomach",
    "skin",
    "bones",
    "kidney",
    "pregnancy",
    "newborn",
    "birth",
    "symptoms",
    "injury",
    "accident",
    "care",
]
"""The chapters 1 to 21, each by a word that is one token: labels that go by their own names."""
MEDICAL_CODES = Workload(
    name="medical-codes",
    title="Which ICD-10-CM chapter is this diagnosis of?",
    prompt="{text}\nChapter:",
    labels=tuple(CHAPTERS),
    review=Review(doubt_below=0.9, audit_share=0.1, double_share=0.3),
    cycle=Cycle(corrections=100_000),
    split=Split(golden=21, held_out=63),
    training=Training(epochs=1, max_steps=12),
    promotion=Promotion(max_pairs=24),
)


def diagnoses(per_chapter: int) -> list[LabelledRow]:
    """Descriptions of billable codes with their chapter, shuffled by a fixed seed."""
    shuffle = random.Random(3)
    rows = []
    for number, chapter in enumerate(CHAPTERS, start=1):
        leaves = [code for code in icd.get_descendants(str(number)) if icd.is_leaf(code)]
        texts = sorted({icd.get_description(code) for code in leaves})
        rows += [LabelledRow(text, chapter) for text in shuffle.sample(texts, per_chapter)]
    shuffle.shuffle(rows)
    return rows


async def kill(laptop: Laptop, name: str) -> None:
    """kill -9, as a crash would; the supervisor starts it again."""
    psutil.Process(laptop.pids()[name]).kill()


async def test_a_second_workload_goes_round_while_processes_are_killed(tmp_path: Path) -> None:
    rows = diagnoses(25)
    labelled, stream = rows[:420], rows[420:]
    models = tmp_path / "models"
    models.symlink_to(base_model_folder().parent)
    settings = LaptopSettings(tmp_path, 0, 0, 0, 0, 0)
    async with (
        asyncio.timeout(LONGEST_SECONDS),
        start_laptop(settings, lambda step, detail: None) as laptop,
        aiohttp.ClientSession() as session,
        watching(Kafka(laptop.addresses.kafka_bootstrap_servers)) as watch,
    ):
        with Stages(Console(quiet=True)) as stages, stages.stage("round") as stage:
            predictions = await round_with_kills(laptop, session, watch, stage, labelled, stream)
    async with (
        asyncio.timeout(LONGEST_SECONDS),
        start_laptop(settings, lambda step, detail: None) as laptop,
        aiohttp.ClientSession() as session,
    ):
        assert await count_is(laptop, "predictions_v1", "prediction_id", predictions)
        await eventually(lambda: is_open(session, laptop.gateway_url, MEDICAL_CODES.name))


async def round_with_kills(
    laptop: Laptop,
    session: aiohttp.ClientSession,
    watch: Watch,
    stage: Stage,
    labelled: Sequence[LabelledRow],
    stream: Sequence[LabelledRow],
) -> int:
    """The number of predictions that were acknowledged, and are there once each."""
    name = MEDICAL_CODES.name
    await add_workload(laptop.services_url, MEDICAL_CODES, labelled)
    async with session.get(f"{laptop.services_url}/workloads/{name}") as reply:
        assert (await reply.json())["answers"] == {label: f" {label}" for label in CHAPTERS}
    await kill(laptop, "services")  # while the first dataset is being made
    first = await follow_to(CandidateEvaluated, watch, stage, name)
    assert first.scorecard.held_out.n > 0
    judged = await follow_to(CandidateJudged, watch, stage, name)
    assert judged.champion is None
    assert judged.verdict == "PROMOTE", judged.reason
    await follow_to(ModelPromoted, watch, stage, name)
    app = App(laptop.gateway_url, laptop.services_url, name, session)
    while not await is_open(session, laptop.gateway_url, name):
        await asyncio.sleep(0.2)

    await app.send(stream[:30], per_second=20)
    await kill(laptop, "kafka")
    await app.send(stream[30:50], per_second=20)  # answers do not need a broker; users' thumbs do
    await kill(laptop, "clickhouse")
    await app.send(stream[50:70], per_second=20)
    await kill(laptop, "gateway")
    await eventually(lambda: is_open(session, laptop.gateway_url, name))
    await kill(laptop, "models")
    await eventually(lambda: is_answering(session, laptop.gateway_url, name, stream[0].text))

    right = {row.text: row.label for row in stream}
    reviewers = [  # who never err: a dispute would wait for a third reviewer
        Reviewer(who, laptop.services_url, name, right.__getitem__, session, error_rate=0)
        for who in ("ada", "grace")
    ]
    await eventually(lambda: count_is(laptop, "predictions_v1", "prediction_id", len(app.answered) + 1))
    await asyncio.gather(*(reviewer.review(40, patience_seconds=5) for reviewer in reviewers))
    given = sum(reviewer.reviews for reviewer in reviewers)
    assert given > 0
    await eventually(lambda: count_is(laptop, "reviews_v1", "review_id", given))

    async def all_are_seen() -> bool:
        return len({event.review_id for event in watch.seen(ReviewGiven)}) == given

    await eventually(all_are_seen)

    cycles = f"{laptop.services_url}/workloads/{name}/cycles"
    async with session.post(cycles, json={"requested_by": "test", "reason": "test"}) as reply:
        assert reply.status == 201
    await follow_to(FailureClustersFound, watch, stage, name)
    await kill(laptop, "services")  # while the second dataset is being made or trained on
    dataset = await follow_to(DatasetPublished, watch, stage, name, lambda event: event.version == 2)
    await app.send(stream[70:], per_second=20)
    evaluated = await follow_to(
        CandidateEvaluated, watch, stage, name, lambda event: event.dataset_id == dataset.dataset_id
    )
    assert evaluated.champion == judged.candidate.name
    verdict = asyncio.create_task(
        follow_to(CandidateJudged, watch, stage, name, lambda event: event.candidate == evaluated.candidate)
    )
    while not verdict.done():
        await asyncio.gather(*(reviewer.review(5) for reviewer in reviewers))
        await asyncio.wait({verdict}, timeout=0.3)
    assert verdict.result().champion == judged.candidate.name

    thumbs = sum(one.thumb is not None for one in app.answered)
    await eventually(lambda: count_is(laptop, "predictions_v1", "prediction_id", len(app.answered) + 1))
    await eventually(lambda: count_is(laptop, "feedback_v1", "feedback_id", thumbs))
    assert len({event.feedback_id for event in watch.seen(FeedbackGiven)}) == thumbs
    await eventually(lambda: is_published_once(laptop, "corrections_v1", watch.seen(PredictionCorrected)))
    await eventually(lambda: is_published_once(laptop, "pairs_v1", watch.seen(ShadowPairRecorded)))
    rows = list(Files(laptop.addresses.files_uri, laptop.addresses.state_folder).rows(dataset.train))
    assert len({row["text"] for row in rows}) == len(rows) == dataset.counts.seed + dataset.counts.corrected
    return len(app.answered) + 1


async def is_open(session: aiohttp.ClientSession, gateway: str, name: str) -> bool:
    try:
        async with session.get(f"{gateway}/v1/models") as reply:
            return reply.status == 200 and name in {row["id"] for row in (await reply.json())["data"]}
    except aiohttp.ClientError:
        return False


async def is_answering(session: aiohttp.ClientSession, gateway: str, name: str, text: str) -> bool:
    """True with the one answer that is counted: an answer given is an answer recorded."""
    body = {"model": name, "messages": [{"role": "user", "content": text}]}
    async with session.post(f"{gateway}/v1/chat/completions", json=body) as reply:
        return reply.status == 200


async def count_is(laptop: Laptop, view: str, key: str, expected: int) -> bool:
    counted = await count_of(laptop, view, key)
    assert counted <= expected, f"{view} has {counted} rows, more than the {expected} that were acknowledged"
    return counted == expected


async def is_published_once(
    laptop: Laptop, view: str, published: Sequence[PredictionCorrected] | Sequence[ShadowPairRecorded]
) -> bool:
    """True once as many predictions were published as are stored; that may take a moment."""
    return await count_of(laptop, view, "prediction_id") == len({event.prediction_id for event in published})


async def count_of(laptop: Laptop, view: str, key: str) -> int:
    clickhouse = await connect(laptop.addresses.clickhouse_url, patience_seconds=30)
    try:
        [row] = await clickhouse.rows(
            f"SELECT count() AS n, uniqExact({key}) AS ids FROM {view} WHERE workload = {{workload:String}}",
            workload=MEDICAL_CODES.name,
        )
    finally:
        await clickhouse.close()
    assert row["n"] == row["ids"], f"{view} counts something twice"
    return int(row["n"])


async def eventually(true: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not await true():
            await asyncio.sleep(0.3)
