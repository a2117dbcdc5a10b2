"""From a text to its answer: one prefill of the champion, one record, then the answer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from dataclasses import dataclass, field

from services.model_gateway import refusals
from services.model_gateway.alias_switch import AliasSwitch
from services.model_gateway.champion_alias import ChampionAlias, Serving
from services.model_gateway.metrics import Metrics
from services.model_gateway.openai_requests import Asked
from services.model_gateway.recording import Recording
from services.model_gateway.turns import Turns
from shared.access.principal import Principal
from shared.adapters.refusals import AdapterRefused
from shared.backoff import SaysSeldom
from shared.events import PredictionLogged, WorkloadAdded, Writer
from shared.label_scoring import LabelScoring
from shared.labels import LabelAnswer
from shared.model_server import ModelServerDown, ModelServerRefused, PromptTooLong, UnknownModel
from shared.problems import Problem
from shared.service import Clock
from shared.subject_ids import subject_id
from shared.time_ordered_ids import time_ordered_id

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scored:
    """The label, the adapter that chose it, by which revision's contract, and the prompt's tokens."""

    answer: LabelAnswer
    adapter: str
    revision: int
    tokens_in: int


@dataclass(frozen=True)
class Answering:
    alias: ChampionAlias
    alias_switch: AliasSwitch
    scoring: LabelScoring
    recording: Recording
    metrics: Metrics
    clock: Clock
    answer_seconds: float
    subject_key: str = field(repr=False)
    turns: Turns
    _says: defaultdict[tuple[int, str], SaysSeldom] = field(default_factory=lambda: defaultdict(SaysSeldom))

    async def answer(
        self, asked: Asked, principal: Principal, prediction_id: str | None = None
    ) -> PredictionLogged:
        """The answer, under the given id or a new one, on record unless its id says otherwise.

        `principal` may ask that workload.

        Raises Problem.
        """
        began = time.perf_counter()
        workload = self.workload(asked.workload, principal)
        scored = await self._scored(workload, asked.text)
        moment = self.clock()
        prediction = PredictionLogged(
            prediction_id=prediction_id or time_ordered_id(moment),
            workload=workload.name,
            predicted_at=moment,
            input=asked.text,
            answer=scored.answer.label,
            confidence=scored.answer.confidence,
            probabilities=dict(scored.answer.probabilities),
            adapter=scored.adapter,
            latency_ms=(time.perf_counter() - began) * 1000,
            tokens_in=scored.tokens_in,
            attributes=asked.attributes,
            subject_id=subject_id(self.subject_key, asked.user),
            group_id=asked.group_id,
            revision=scored.revision,
            written_by=Writer.GATEWAY,
        )
        return await self.recording.recorded(prediction)

    def workload(self, name: str, principal: Principal) -> WorkloadAdded:
        """The workload, if it is one that is answered for, with or without a champion yet. Raises Problem."""
        workload = self.alias.workloads.get(name)
        if workload is None:
            if not self.alias.is_complete:
                raise refusals.still_reading()
            raise refusals.unknown_workload(
                known.name
                for known in self.alias.workloads.all()
                if not known.is_retired and principal.is_for(known.name)
            )
        if workload.is_retired:
            raise refusals.retired(workload.name)
        return workload

    async def _scored(self, workload: WorkloadAdded, text: str) -> Scored:
        began = time.perf_counter()
        try:
            async with asyncio.timeout(self.answer_seconds):
                return await self._by_champion(workload, text)
        except (ModelServerDown, TimeoutError) as error:
            raise refusals.model_server_down() from error
        except PromptTooLong as error:
            raise refusals.beyond_context() from error
        except ModelServerRefused as error:
            self._say(logging.ERROR, workload.name, f"the model server refused: {error}")
            raise refusals.model_server_refused() from error
        except (UnknownModel, AdapterRefused, OSError) as error:
            self._say(logging.ERROR, workload.name, f"the champion cannot be loaded again: {error}")
            raise _not_there(workload.name, error) from error
        finally:
            self.metrics.model_seconds.labels(workload.name).observe(time.perf_counter() - began)

    async def _by_champion(self, workload: WorkloadAdded, text: str) -> Scored:
        serving = self.alias.serving.get(workload.name)
        if serving is None:
            if (wanted := self.alias.champions.of(workload.name)) is not None:
                raise _not_there(workload.name, self.alias_switch.failure(wanted))
            raise refusals.no_champion(workload.name)
        try:
            return await self._score(workload.name, serving, text)
        except UnknownModel:  # the model server was started anew and lost what was loaded
            serving = self.alias.serving[workload.name]
            said = f"the model server does not know {serving.adapter.name}; loading it again"
            self._say(logging.WARNING, workload.name, said)
            await self.alias_switch.load_again(serving.adapter)
            return await self._score(workload.name, serving, text)

    async def _score(self, workload: str, serving: Serving, text: str) -> Scored:
        name = serving.adapter.name
        await self.turns.begin(workload)
        try:
            scored = await self.scoring.answer(name, serving.asked_by, text)
        finally:
            self.turns.end()
        return Scored(scored.answer, name, serving.contract.revision, scored.prompt_tokens)

    def _say(self, level: int, workload: str, what: str) -> None:
        """Seldom: every request may bring the same trouble."""
        if self._says[level, workload].is_due(what, time.monotonic()):
            log.log(level, "%s: %s", workload, what)


def _not_there(workload: str, error: Exception | None) -> Problem:
    """Being loaded is only what nobody refuses: not its own files, that may be away, and no model server."""
    if isinstance(error, AdapterRefused):
        return refusals.champion_refused(workload, error.what)
    if isinstance(error, ModelServerRefused | OSError) and not isinstance(error, TimeoutError):
        return refusals.champion_refused(workload, str(error).rstrip("."))
    return refusals.champion_not_loaded(workload)
