"""Makes a candidate ready for its shadow; decides whether one that cannot be loaded waits or is rejected."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from dataclasses import dataclass, field

from services.shadow_deployment.candidate_waits import CandidateWaits
from services.shadow_deployment.judging import Judging
from services.shadow_deployment.lost_champion import MAY_PASS, Finding, refused
from services.shadow_deployment.store import ShadowStore
from shared.adapters.label_contract import LabelContract
from shared.adapters.loading import AdapterLoading
from shared.adapters.refusals import AdapterRefused, Tampered
from shared.adapters.signature import CannotUseKeys
from shared.backoff import Failures, SaysSeldom
from shared.broker import Publish
from shared.events import CandidateEvaluated, WorkloadAdded
from shared.service import Clock

log = logging.getLogger(__name__)


@dataclass
class CandidatePreparation:
    store: ShadowStore
    publish: Publish
    clock: Clock
    judging: Judging
    loading: AdapterLoading
    waits: CandidateWaits
    _prepared: dict[str, tuple[str, LabelContract]] = field(default_factory=dict)
    """Workload → the run whose candidate is loaded, and how that is asked."""
    _failures: Failures = field(default_factory=Failures)
    """Runs whose candidate the model server did not take."""
    _found: dict[str, Finding] = field(default_factory=dict)
    """Run → its candidate whose files are away."""
    _says: dict[str, SaysSeldom] = field(default_factory=lambda: defaultdict(SaysSeldom))

    def forget(self, workload: str) -> None:
        """The model server was restarted: its candidate is to be loaded again."""
        self._prepared.pop(workload, None)

    def is_to_wait(self, candidate: CandidateEvaluated) -> bool:
        """Whether it failed so lately that it is not tried again yet."""
        return self._failures.not_yet(candidate.run_id, time.monotonic()) is not None

    def went_well(self, candidate: CandidateEvaluated) -> None:
        self._failures.went_well(candidate.run_id)

    async def prepare(self, candidate: CandidateEvaluated, workload: WorkloadAdded) -> LabelContract | None:
        """Loads the candidate beside the champion, and publishes again the pairs that a kill left behind.

        Gives how it is asked, once for each run; None if its own files condemn it, and it is rejected, or if
        the model server does not take it now, and it waits for one that does.
        """
        run_id, asked_by = self._prepared.get(candidate.workload, ("", None))
        if run_id == candidate.run_id:
            return asked_by
        if self.is_to_wait(candidate):
            return None
        promotion = workload.definition.promotion
        try:
            copies = await self.store.contracted(candidate.workload)
            adapter = copies.get(candidate.candidate.name, candidate.candidate)
            asked_by = LabelContract.of(await self.loading.load(adapter))
        except (Tampered, FileNotFoundError) as error:
            now = self.clock()
            found = refused(self._found.get(candidate.run_id) or Finding(adapter, now), now, error)
            if not found.is_lost:
                self._found[candidate.run_id] = found
                await self.wait(candidate, error)
                return None
            reason = f"Its files are not those that were evaluated: {error}"
            await self.judging.reject(candidate, reason, promotion)
            return None
        except (*MAY_PASS, CannotUseKeys) as error:
            await self.wait(candidate, error)
            return None
        except AdapterRefused as error:
            reason = f"It cannot be loaded: {error}"
            await self.judging.reject(candidate, reason, promotion)
            return None
        self._failures.went_well(candidate.run_id)
        self._found.pop(candidate.run_id, None)
        await self.publish(*await self.store.pair_events(candidate.workload, candidate.run_id))
        self._prepared[candidate.workload] = (candidate.run_id, asked_by)
        return asked_by

    async def wait(self, candidate: CandidateEvaluated, error: Exception) -> None:
        """Until it is tried again, ever more seldom."""
        now = time.monotonic()
        self._failures.failed(candidate.run_id, error, now)
        await self.waits.note(candidate, str(error))
        if self._says[candidate.workload].is_due(str(error), now):
            log.error("%s: %s waits for its shadow: %s", candidate.workload, candidate.candidate.name, error)
