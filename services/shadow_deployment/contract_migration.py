"""Adapters of versions 0.1 and 0.2 get their contract: as a frozen copy, to which the alias moves.

The copy keeps the name, because it is the same model: whatever was said of it stays true. Its digest and its
place are new.
"""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from services.shadow_deployment.judging import Judging
from services.shadow_deployment.store import ShadowStore
from services.shadow_deployment.trained_revision import trained_revision
from shared.adapters.contract import CONTRACT_FILE, AdapterContract
from shared.adapters.refusals import AdapterRefused, NotForThisServer, OtherTokens
from shared.adapters.signature import CannotUseKeys
from shared.backoff import Failures, SaysSeldom
from shared.events import CandidateEvaluated, FrozenAdapter, WorkloadAdded
from shared.files import DigestMismatch, Files
from shared.model_server import ModelServer, ModelServerRefused, UnknownModel
from shared.projections import Workloads

log = logging.getLogger(__name__)


class CannotBeGiven(Exception):
    """An adapter can get no contract. It answers no more; the message says why and what to do."""


FOR_NOW = (NotForThisServer, ModelServerRefused, UnknownModel, FileNotFoundError, CannotUseKeys)
"""Nobody tells when the model server, files or keys are others, so it is tried again after growing pauses."""
NEVER = (CannotBeGiven, AdapterRefused, DigestMismatch)


@dataclass
class ContractMigration:
    store: ShadowStore
    judging: Judging
    workloads: Workloads
    files: Files
    models: ModelServer
    sign: Callable[[Path], None] | None
    """Writes the signature into a folder, and proves it. None: this installation does not sign."""
    waiting: Mapping[str, Exception] = field(default_factory=dict)
    """Adapters that have no contract for now, and why."""
    _done: set[tuple[str, int]] = field(default_factory=set)
    """Adapters that have a contract, or can get none while this is their workload's newest revision."""
    _failures: Failures = field(default_factory=Failures)
    _says: defaultdict[str, SaysSeldom] = field(default_factory=lambda: defaultdict(SaysSeldom))

    async def migrate(self) -> float | None:
        """Whoever answers, may come back or waits in the shadow.

        The seconds until it is to be tried again, where one has none for now. Raises ModelServerDown,
        FilesUnreachable.
        """
        waiting: dict[str, Exception] = {}
        for added in self.workloads.all():
            history = await self.store.history(added.name)
            needed = {revision.champion.name for revision in history}
            needed |= {event.candidate.name for event in await self.store.waiting(added.name)}
            left = {name for name in needed if (name, added.revision) not in self._done}
            if not left:
                continue
            for event in await self.store.evaluated(added.name):
                name = event.candidate.name
                if name in left and (error := await self._why_not_now(event)) is not None:
                    left.remove(name)
                    waiting[name] = error
            self._done |= {(name, added.revision) for name in left}
            await self.judging.carry(added.name)
        self.waiting, now = waiting, time.monotonic()
        return min((self._failures.seconds_left(name, now) for name in waiting), default=None)

    async def _why_not_now(self, event: CandidateEvaluated) -> Exception | None:
        """None: it has a contract, or can get none."""
        adapter, workload = event.candidate, event.workload
        if (failure := self._failures.not_yet(adapter.name, time.monotonic())) is not None:
            return failure
        try:
            await self._give(event)
        except FOR_NOW as error:
            now = time.monotonic()  # not before it was tried: that may take longer than the pause
            self._failures.failed(adapter.name, error, now)
            said = f"{adapter.name} has no contract yet, and cannot answer: {error}"
            if self._says[adapter.name].is_due(said, now):
                log.error("%s: %s", workload, said)
            return error
        except NEVER as error:
            log.error("%s: %s gets no contract, and cannot answer: %s", workload, adapter.name, error)
        self._failures.went_well(adapter.name)
        return None

    async def _give(self, event: CandidateEvaluated) -> None:
        adapter, workload = event.candidate, event.workload
        if await asyncio.to_thread(self.files.holds, adapter, CONTRACT_FILE):
            return
        if adapter.name in await self.store.contracted(workload):
            return
        contract = await self._contract(event)
        copy = await asyncio.to_thread(self._frozen, adapter, contract)
        await self.store.keep_contracted(workload, copy)
        log.info("%s: %s has a contract now, of revision %d", workload, adapter.name, contract.revision)

    async def _contract(self, event: CandidateEvaluated) -> AdapterContract:
        added = trained_revision(self.workloads.revisions(event.workload), event)
        if added is None:
            raise CannotBeGiven(f"no revision of {event.workload} has its base model. Train anew")
        # By what the store has: where files are away, a copy would pass for an adapter without a contract.
        folder = await asyncio.to_thread(self.files.adapter_folder, event.candidate, as_stored=True)
        settings = json.loads((folder / "adapter_config.json").read_text("utf-8"))
        training = added.definition.training
        return AdapterContract.of(
            added,
            await self._tokens(added),
            dataset_id=event.dataset_id,
            training=training.model_dump(mode="json", exclude_none=True),
            lora_r=int(settings["r"]),
        )

    async def _tokens(self, added: WorkloadAdded) -> dict[str, int]:
        base_model, tokens = added.definition.base_model, dict[str, int]()
        for label in added.definition.labels:
            found = await self.models.tokenize(base_model, added.answers[label])
            if len(found) != 1:
                raise OtherTokens(
                    f"the model server reads the answer {added.answers[label]!r} as {len(found)} tokens: it "
                    f"does not serve the {base_model} it was trained on",
                    mend="serve that",
                )
            tokens[label] = found[0]
        return tokens

    def _frozen(self, adapter: FrozenAdapter, contract: AdapterContract) -> FrozenAdapter:
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made) / adapter.name
            shutil.copytree(self.files.adapter_folder(adapter), folder)
            (folder / CONTRACT_FILE).write_bytes(contract.written())
            if self.sign is not None:
                self.sign(folder)
            copy = self.files.freeze_adapter(adapter.name, folder, adapter.base_model)
        return copy.model_copy(update={"name": adapter.name})
