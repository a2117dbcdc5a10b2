"""Who answers for which workload. Kept in a file too: a restart needs no broker to go on answering."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError, field_validator

from shared.adapters.contract import AdapterContract
from shared.adapters.label_contract import LabelContract
from shared.events import FrozenAdapter, ModelPromoted, ModelRolledBack, WorkloadAdded
from shared.files import write_atomically
from shared.projections import Champions, Workloads

log = logging.getLogger(__name__)


class Serving(BaseModel):
    """The adapter that answers, as of one revision of the alias."""

    revision: int
    adapter: FrozenAdapter
    contract: AdapterContract
    """How it is asked: as it was trained, whatever the definition says now."""
    previous: str | None = None
    """The adapter that answered before. It stays loaded until the next switch, for requests on their way."""

    @cached_property
    def asked_by(self) -> LabelContract:
        return LabelContract.of(self.contract)


class Kept(BaseModel):
    """The file's content."""

    workloads: list[WorkloadAdded] = []
    serving: dict[str, Serving] = {}

    @field_validator("serving", mode="before")
    @classmethod
    def _with_a_contract(cls, serving: Any) -> Any:
        """Up to version 0.2 none was kept: who serves is loaded anew, as the events say."""
        if not isinstance(serving, dict):
            return serving
        return {
            workload: kept
            for workload, kept in serving.items()
            if not isinstance(kept, dict) or "contract" in kept
        }


@dataclass
class ChampionAlias:
    """What is wanted, as the events say, and what serves: the last wanted adapter that could be loaded."""

    file: Path
    workloads: Workloads = field(default_factory=Workloads)
    champions: Champions = field(default_factory=Champions)
    serving: dict[str, Serving] = field(default_factory=dict)
    is_complete: bool = False
    """Whether every event that was there when this process began is applied: until then the file may lack
    what came after it was written."""
    _keeping: asyncio.Lock = field(default_factory=asyncio.Lock)

    @classmethod
    def restored(cls, file: Path) -> ChampionAlias:
        """The alias as the file has it. A file that cannot be read counts as none: the events say it all."""
        alias = cls(file)
        try:
            kept = Kept.model_validate_json(file.read_bytes())
        except FileNotFoundError:
            return alias
        except ValidationError:
            log.error("the kept champion alias cannot be read; starting without it")
            return alias
        for workload in kept.workloads:
            alias.workloads.apply(workload)
        alias.serving = kept.serving
        return alias

    def wanted(self) -> list[ModelPromoted | ModelRolledBack]:
        """The champions that do not serve yet, of workloads that are known."""
        return [
            event
            for event in self.champions.all()
            if self.workloads.get(event.workload) is not None
            and event.revision > self._revision(event.workload)
        ]

    def switch_to(self, event: ModelPromoted | ModelRolledBack, contract: AdapterContract) -> str | None:
        """From now on the event's adapter answers. Gives the adapter that no request can need any more."""
        before = self.serving.get(event.workload)
        name = event.champion.name
        previous = before.adapter.name if before else None
        self.serving[event.workload] = Serving(
            revision=event.revision, adapter=event.champion, contract=contract, previous=previous
        )
        unneeded = before.previous if before else None
        return unneeded if unneeded not in (name, previous) else None

    async def keep(self) -> None:
        """Writes the file, one writer at a time; the last one writes the latest."""
        async with self._keeping:
            content = Kept(workloads=self.workloads.all(), serving=self.serving).model_dump_json()
            await asyncio.to_thread(write_atomically, self.file, content.encode())

    def _revision(self, workload: str) -> int:
        serving = self.serving.get(workload)
        return serving.revision if serving else -1
