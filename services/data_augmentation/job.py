"""The process that makes a dataset version: `python -m services.data_augmentation.job`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from services.data_augmentation.dataset import Dataset, build, corrected_rows, label_counts
from services.data_augmentation.manifest import manifest
from services.data_augmentation.rows import Row, under_present_names, valid_rows
from services.data_augmentation.split import newest_of_each, split
from services.data_augmentation.store import DatasetStore, DatasetVersion, Seed
from shared.addresses import Addresses
from shared.clickhouse import connect
from shared.events import (
    DatasetCounts,
    DatasetPublished,
    FailureClustersFound,
    FrozenFile,
    WorkloadAdded,
    now,
)
from shared.files import JOB_PATIENCE_SECONDS, DigestMismatch, Files
from shared.job_protocol import JobProgress, Order, Refused, Report, run_job
from shared.redaction.rules import cannot_redact

ROWS_PER_PROGRESS = 128


class DatasetMaker:
    """Makes one dataset version of a workload. Everything that leaves it has been through the redactor."""

    def __init__(
        self, added: WorkloadAdded, dataset_id: str, store: DatasetStore, files: Files, report: Report
    ) -> None:
        self._added, self._dataset_id, self._store, self._files = added, dataset_id, store, files
        self._report = report
        self._workload = added.definition
        self._replaced: list[str] = []
        reason = cannot_redact(self._workload.language, self._workload.privacy.entities)
        if reason is not None:
            raise Refused(f"no dataset without redaction: {reason}")
        report(JobProgress(phase="loading the redactor", done=0, total=0))
        from shared.redaction.redactor import Redactor

        self._redactor = Redactor(self._workload.language, self._workload.privacy)
        report(JobProgress(phase="reading rows", done=0, total=0))

    async def from_rows(self) -> dict[str, Any]:
        """The workload's own rows, with the corrections that the latest version had, if there is one."""
        rows = self._rows(self._added.rows)
        valid, invalid = valid_rows(rows, self._workload.labels)
        before = await self._store.seed_of(self._workload.name)
        seed, of_seed = self._seed(self._redacted(valid), before)
        parent = await self._store.latest(self._workload.name)
        corrections = parent.corrections if parent else None
        corrected, invalid_corrected = await self._corrected(corrections)
        dataset = self._build(seed, corrected, invalid + invalid_corrected, of_seed)
        if not dataset.train:
            raise Refused("no row is left to train on. Add labelled rows to the workload.")
        version = self._version(dataset, seed, parent, corrections, None)
        return {"seed": seed.model_dump(mode="json"), "published": version.model_dump(mode="json")}

    async def from_cycle(self, found: FailureClustersFound) -> dict[str, Any]:
        """The seed rows and every correction up to the cycle's cutoff."""
        seed = await self._store.seed_of(self._workload.name)
        if seed is None:
            raise Refused(
                f"the workload {self._workload.name} has no seed rows: its first dataset was refused. "
                "Correct the workload and add it again."
            )
        corrected, invalid = await self._corrected(found.corrections)
        dataset = self._build(seed, corrected, invalid)
        if not dataset.counts.corrected:
            raise Refused(
                f"none of {found.corrections.rows} corrections gives a new row to train on "
                f"({dataset.counts.leaks_blocked} leak, {invalid} invalid). Review more predictions."
            )
        parent = await self._store.latest(self._workload.name)
        version = self._version(dataset, seed, parent, found.corrections, found)
        return {"published": version.model_dump(mode="json")}

    def _seed(self, rows: Sequence[Row], before: Seed | None) -> tuple[Seed, DatasetCounts]:
        """The split rows, and what was left out on the way."""
        free = newest_of_each(row for row in rows if row.split is None)
        fixed = [row for row in rows if row.split is not None]
        name = self._workload.name
        if before is None:
            sizes = self._workload.split
            parts = split([*fixed, *free], sizes.golden, sizes.held_out, seed=name)
            golden = self._freeze("golden", parts.golden)
            held_out = self._freeze("held-out", parts.held_out)
            train = parts.train
        else:
            golden, held_out, train = before.golden, before.held_out, [*fixed, *free]
        judging = [*self._rows(golden), *self._rows(held_out)]
        kept = build(train, [], judging)
        seed = Seed(
            workload=name,
            revision=self._added.revision,
            train=self._freeze("seed", kept.train),
            golden=golden,
            held_out=held_out,
            redacted_values=len(self._replaced),
        )
        twice = len(rows) - len(fixed) - len(free)
        return seed, kept.counts.model_copy(update={"duplicates": kept.counts.duplicates + twice})

    async def _corrected(self, corrections: FrozenFile | None) -> tuple[list[Row], int]:
        if corrections is None:
            return [], 0
        listed = list(self._files.rows(corrections))
        texts = await self._store.texts(self._workload.name, [one["prediction_id"] for one in listed])
        corrected = under_present_names(corrected_rows(listed, texts), self._workload)
        valid, invalid = valid_rows(corrected, self._workload.labels)
        return self._redacted(valid), invalid

    def _redacted(self, rows: Sequence[Row]) -> list[Row]:
        redacted = []
        for row, clean in zip(rows, self._redactor.redact([row.text for row in rows]), strict=True):
            redacted.append(replace(row, text=clean.text))
            self._replaced += clean.entities
            if len(redacted) % ROWS_PER_PROGRESS == 0 or len(redacted) == len(rows):
                self._report(JobProgress(phase="redacting", done=len(redacted), total=len(rows)))
        return redacted

    def _build(
        self, seed: Seed, corrected: Sequence[Row], invalid: int, of_seed: DatasetCounts | None = None
    ) -> Dataset:
        judging = [*self._rows(seed.golden), *self._rows(seed.held_out)]
        dataset = build(self._rows(seed.train), corrected, judging)
        before = of_seed or DatasetCounts()
        counts = dataset.counts.model_copy(
            update={
                "duplicates": dataset.counts.duplicates + before.duplicates,
                "leaks_blocked": dataset.counts.leaks_blocked + before.leaks_blocked,
                "invalid": invalid,
            }
        )
        return Dataset(dataset.train, counts)

    def _rows(self, file: FrozenFile) -> list[Row]:
        """A file of any revision; what was labelled with a label that is gone is left out."""
        return [Row.of(row) for row in self._workload.in_present_labels(self._files.rows(file))]

    def _version(
        self,
        dataset: Dataset,
        seed: Seed,
        parent: DatasetVersion | None,
        corrections: FrozenFile | None,
        found: FailureClustersFound | None,
    ) -> DatasetVersion:
        labels = self._workload.labels
        version = parent.event.version + 1 if parent else 1
        files = {
            "train": self._freeze(f"v{version}-train", dataset.train),
            "golden": seed.golden,
            "held_out": seed.held_out,
        }
        redacted = len(self._replaced) + (seed.redacted_values if found else 0)
        counts = dataset.counts.model_copy(update={"redacted_values": redacted})
        cutoff = found.cutoff if found else self._added.added_at
        page = manifest(
            dataset_id=self._dataset_id,
            version=version,
            added=self._added,
            cycle_id=found.cycle_id if found else None,
            cutoff=cutoff.isoformat(),
            parent=parent.event if parent else None,
            corrections=corrections,
            files=files,
            counts=counts,
            labels_before=label_counts(self._rows(parent.event.train), labels) if parent else {},
            labels_after=label_counts(dataset.train, labels),
            redactor=self._redactor.version,
            replaced=self._replaced,
        )
        event = DatasetPublished(
            dataset_id=self._dataset_id,
            workload=self._workload.name,
            version=version,
            cycle_id=found.cycle_id if found else None,
            cutoff=cutoff,
            manifest=self._files.freeze_rows(f"datasets/{self._workload.name}/v{version}-manifest", [page]),
            counts=counts,
            published_at=now(),
            **files,
        )
        return DatasetVersion(event=event, corrections=corrections)

    def _freeze(self, name: str, rows: Sequence[Row]) -> FrozenFile:
        return self._files.freeze_rows(
            f"datasets/{self._workload.name}/{name}", [row.as_json() for row in rows]
        )


def work(order: Order, report: Report) -> Mapping[str, Any]:
    """Does what a task says: {"dataset_id", "added", "found" or null}. Raises Refused."""
    load_no_torch()
    try:
        return asyncio.run(_make(order.task, Addresses(), report))
    except (DigestMismatch, FileNotFoundError) as error:
        raise Refused(f"{error}. Restore the file, or add the workload or start the cycle anew.") from error


async def _make(task: Mapping[str, Any], addresses: Addresses, report: Report) -> dict[str, Any]:
    added = WorkloadAdded.model_validate(task["added"])
    clickhouse = await connect(addresses.clickhouse_url)
    try:
        files = Files(
            addresses.files_uri, addresses.state_folder / "cache", patience_seconds=JOB_PATIENCE_SECONDS
        )
        maker = DatasetMaker(added, task["dataset_id"], DatasetStore(clickhouse), files, report)
        if task["found"] is None:
            return await maker.from_rows()
        return await maker.from_cycle(FailureClustersFound.model_validate(task["found"]))
    finally:
        await clickhouse.close()


def load_no_torch() -> None:
    """Presidio and spaCy import these where they are installed: 3 s and 300 MB that redaction never uses."""
    for name in ("torch", "transformers"):
        sys.modules[name] = None  # type: ignore[assignment]  # from now on importing it raises ImportError


if __name__ == "__main__":
    sys.exit(run_job(work))
