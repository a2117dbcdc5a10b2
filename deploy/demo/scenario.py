"""The demo: once round the loop with a real model, real data and real protocols; no result is prepared."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, TypeVar

import aiohttp

from deploy.demo import sentences
from deploy.demo.add_workload import add_workload
from deploy.demo.follow_events import LoopStopped, follow_to
from deploy.demo.licences import Licences
from deploy.demo.results import Results
from deploy.demo.simulated_users import App, Reviewer
from deploy.demo.watch import Watch
from deploy.laptop.laptop import Laptop
from deploy.stages import Stage, Stages
from shared.events import (
    CandidateEvaluated,
    CandidateJudged,
    CandidateTrained,
    DatasetPublished,
    Event,
    FailureClustersFound,
    FeedbackGiven,
    ModelPromoted,
    PredictionFlagged,
    PredictionLogged,
    ReviewGiven,
    ShadowPairRecorded,
    Verdict,
)
from shared.files import Files
from shared.workload import Workload

REQUESTS_BEFORE_CYCLE = 600
REQUESTS_PER_SECOND = 14.0
REQUESTS_PER_SECOND_MEANWHILE = 1.5  # while a candidate is trained on the same two cores
REVIEWS_EACH = 160
LONGEST_SHADOW_HOURS = 0.05
E = TypeVar("E", bound=Event)


def in_a_hurry(data: Licences) -> Workload:
    """The workload with a shadow that ends within the demo: on hold if the evidence does not come by then."""
    workload = data.definition.workload
    promotion = workload.promotion.model_copy(update={"max_hours": LONGEST_SHADOW_HOURS})
    return workload.model_copy(update={"promotion": promotion})


class Scenario:
    """The stages in order. It knows only events and what it asks over the public HTTP interfaces."""

    def __init__(
        self, laptop: Laptop, data: Licences, stages: Stages, watch: Watch, session: aiohttp.ClientSession
    ) -> None:
        self._laptop, self._data, self._stages, self._watch = laptop, data, stages, watch
        self._session = session
        self._name = data.definition.workload.name
        self._app = App(laptop.gateway_url, laptop.services_url, self._name, session)
        right = {row.text: row.label for row in data.stream}
        self._reviewers = [
            Reviewer(name, laptop.services_url, self._name, right.__getitem__, session)
            for name in ("ada", "grace")
        ]
        *self._requests, self._probe = data.stream

    async def run(self) -> Results:
        """Raises LoopStopped when an event says that the loop cannot go on."""
        results = Results(await self._champion())
        await self._production()
        await self._review()
        meanwhile = asyncio.create_task(
            self._app.send(self._requests[REQUESTS_BEFORE_CYCLE:], REQUESTS_PER_SECOND_MEANWHILE)
        )
        try:
            results.clusters = await self._failures()
            results.dataset = await self._dataset()
            results.trained = await self._training(results.dataset)
            results.evaluated = await self._evaluation(results.dataset)
            addresses = self._laptop.addresses
            files = Files(addresses.files_uri, addresses.state_folder / "cache")
            results.answers = list(files.rows(results.evaluated.answers))
            results.judged = await self._shadow(results.evaluated.candidate.name)
            results.pairs = self._pairs(results.judged.candidate.name)
            await self._verdict(results.judged)
        finally:
            meanwhile.cancel()
            await asyncio.gather(meanwhile, return_exceptions=True)
        return results

    async def _champion(self) -> CandidateEvaluated:
        with self._stages.stage("champion", "adding the workload") as stage:
            await add_workload(self._laptop.services_url, in_a_hurry(self._data), self._data.rows)
            dataset = await self._follow_to(DatasetPublished, stage)
            trained = await self._follow_to(CandidateTrained, stage)
            evaluated = await self._follow_to(CandidateEvaluated, stage)
            judged = await self._follow_to(CandidateJudged, stage)
            if judged.verdict is not Verdict.PROMOTE:
                raise LoopStopped(f"The first model was not promoted: {judged.reason}")
            while self._name not in await self._open_workloads():
                await asyncio.sleep(0.2)
            stage.sentence = sentences.champion(dataset, trained, evaluated)
            return evaluated

    async def _production(self) -> None:
        with self._stages.stage("production", "the app sends requests through the gateway") as stage:
            rows = self._requests[:REQUESTS_BEFORE_CYCLE]
            stage.show("requests through the gateway", 0, len(rows))
            await self._app.send(rows, REQUESTS_PER_SECOND, stage.step)
            stage.show("waiting until every prediction is logged")
            answered = {one.prediction_id for one in self._app.answered}
            await self._until(
                lambda: answered <= {e.prediction_id for e in self._watch.seen(PredictionLogged)}
            )
            flagged, feedback = self._watch.seen(PredictionFlagged), self._watch.seen(FeedbackGiven)
            stage.sentence = sentences.production(self._app.answered, self._app.failures, flagged, feedback)

    async def _review(self) -> None:
        with self._stages.stage("review", "two reviewers answer what the queue gives them") as stage:
            stage.show("reviews", 0, REVIEWS_EACH * len(self._reviewers))
            await asyncio.gather(
                *(one.review(REVIEWS_EACH, stage.step, patience_seconds=5) for one in self._reviewers)
            )
            given = sum(one.reviews for one in self._reviewers)
            await self._until(lambda: len(self._watch.seen(ReviewGiven)) >= given)
            reviewed = {event.prediction_id for event in self._watch.seen(ReviewGiven)}
            agreement = await self._get(f"/reviews/agreement?workload={self._name}")
            stage.sentence = sentences.review(len(reviewed), len(self._reviewers), agreement)

    async def _failures(self) -> FailureClustersFound:
        with self._stages.stage("failures", "a cycle starts; production goes on") as stage:
            cycles = f"{self._laptop.services_url}/workloads/{self._name}/cycles"
            body = {"requested_by": "demo", "reason": "the demo's cycle"}
            async with self._session.post(cycles, json=body) as reply:
                reply.raise_for_status()
            found = await self._follow_to(FailureClustersFound, stage)
            stage.sentence = sentences.failures(found)
            return found

    async def _dataset(self) -> DatasetPublished:
        with self._stages.stage("dataset", "redacting, deduplicating, checking for leaks") as stage:
            published = await follow_to(
                DatasetPublished, self._watch, stage, self._name, lambda event: event.cycle_id is not None
            )
            stage.sentence = sentences.dataset(published)
            return published

    async def _training(self, dataset: DatasetPublished) -> CandidateTrained:
        with self._stages.stage("candidate", "training a LoRA adapter") as stage:
            trained = await self._follow_to(CandidateTrained, stage, dataset.dataset_id)
            stage.sentence = (
                f"{trained.steps} steps in {trained.seconds:.0f} s, loss {trained.final_loss:.2f}"
            )
            return trained

    async def _evaluation(self, dataset: DatasetPublished) -> CandidateEvaluated:
        with self._stages.stage("evaluation", "held-out, golden and adversarial rows") as stage:
            evaluated = await self._follow_to(CandidateEvaluated, stage, dataset.dataset_id)
            stage.sentence = sentences.evaluation(evaluated)
            return evaluated

    async def _shadow(self, candidate: str) -> CandidateJudged:
        with self._stages.stage("shadow", "both models answer the same new requests") as stage:
            judging = asyncio.create_task(
                follow_to(
                    CandidateJudged,
                    self._watch,
                    stage,
                    self._name,
                    lambda event: event.candidate.name == candidate,
                )
            )
            while not judging.done():
                await asyncio.gather(*(one.review(5) for one in self._reviewers))
                pairs = self._pairs(candidate)
                stage.show(f"{len(pairs)} requests paired, {sum(pair.differs for pair in pairs)} differ")
                await asyncio.wait({judging}, timeout=0.5)
            judged = judging.result()
            stage.sentence = sentences.shadow(judged.evidence)
            return judged

    async def _verdict(self, judged: CandidateJudged) -> None:
        candidate = judged.candidate.name
        with self._stages.stage("verdict") as stage:
            stage.sentence = f"{judged.verdict.value} {candidate}"
            if judged.verdict is not Verdict.PROMOTE:
                stage.sentence += f": {judged.reason}"
            else:
                promoted = await follow_to(
                    ModelPromoted,
                    self._watch,
                    stage,
                    self._name,
                    lambda event: event.champion.name == candidate,
                )
                while await self._answering_adapter() != candidate:
                    await asyncio.sleep(0.01)
                switched = time.time() - promoted.promoted_at.timestamp()
                stage.sentence += f" · answered users {1000 * switched:.0f} ms later"

    def _pairs(self, candidate: str) -> list[ShadowPairRecorded]:
        pairs = self._watch.seen(ShadowPairRecorded)
        return list({pair.prediction_id: pair for pair in pairs if pair.candidate == candidate}.values())

    async def _open_workloads(self) -> set[str]:
        async with self._session.get(f"{self._laptop.gateway_url}/v1/models") as reply:
            return {row["id"] for row in (await reply.json())["data"]}

    async def _answering_adapter(self) -> str:
        """Which adapter answers users right now."""
        body = {"model": self._name, "messages": [{"role": "user", "content": self._probe.text}]}
        async with self._session.post(f"{self._laptop.gateway_url}/v1/chat/completions", json=body) as reply:
            reply.raise_for_status()
            return str((await reply.json())["model"])

    async def _get(self, path: str) -> Any:
        async with self._session.get(f"{self._laptop.services_url}{path}") as reply:
            reply.raise_for_status()
            return await reply.json()

    async def _follow_to(self, kind: type[E], stage: Stage, dataset_id: str | None = None) -> E:
        def is_it(event: E) -> bool:
            return dataset_id is None or getattr(event, "dataset_id", None) == dataset_id

        return await follow_to(kind, self._watch, stage, self._name, is_it)

    async def _until(self, true: Callable[[], bool]) -> None:
        while not true():
            await asyncio.sleep(0.2)
