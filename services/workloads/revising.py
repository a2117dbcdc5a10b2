"""A workload is added, changed, or retired: checked, stored, and published by the outbox."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from services.workloads.checking import Checking
from services.workloads.complaints import BadWorkload, Complaint
from services.workloads.definition_changes import changes, revised
from services.workloads.published_views import PublishedViews
from services.workloads.round_progress import Kind, Round, of_revision
from services.workloads.rounds import Rounds
from services.workloads.rows import LabelledRow, kept_rows, read_file, read_list, repeated_texts
from services.workloads.store import WorkloadStore
from services.workloads.submission import RowsFile, Submission
from shared.events import FrozenFile, WorkloadAdded
from shared.files import DigestMismatch, Files
from shared.projections import Workloads
from shared.service import Clock
from shared.workload import Workload


@dataclass(frozen=True)
class Prepared:
    """A revision that would do, and what it changes. `added` is the one before if nothing differs."""

    added: WorkloadAdded
    rows: Sequence[LabelledRow]
    changes: Sequence[str]
    expected_minutes: float
    is_new: bool
    """Whether there was no such workload."""
    differs: bool
    trains: bool
    words_to_name: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        return {
            "name": self.added.name,
            "rows": len(self.rows),
            "labels": len(self.added.definition.labels),
            "answers": self.added.answers,
            "words_to_name": dict(self.words_to_name),
            "repeated_texts": repeated_texts(self.rows),
            "expected_minutes": round(self.expected_minutes, 1),
            "changes": list(self.changes),
            "is_new": self.is_new,
            "differs": self.differs,
            "trains": self.trains,
        }


@dataclass(frozen=True)
class Revising:
    store: WorkloadStore
    checking: Checking
    views: PublishedViews
    files: Files
    rounds: Rounds
    workloads: Workloads
    clock: Clock
    on_stored: Callable[[], None]
    """Called when there is something to publish."""
    _locks: dict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def prepare(self, submission: Submission) -> Prepared:
        """Checks everything and keeps nothing. Raises BadWorkload, ModelServerDown."""
        definition = submission.definition
        revisions = await self.store.revisions(definition.workload.name)
        held = revisions[-1] if revisions else None
        wanted = revised(held.definition if held else None, definition.workload, definition.was)
        rows = await asyncio.to_thread(self._rows, submission, wanted, held)
        answers = await self.checking.answers(wanted, revisions)
        await self.checking.texts_fit(wanted, rows)
        frozen = self._held_rows(held, wanted, rows) or _not_yet_frozen(rows)
        at = self.clock()
        added = WorkloadAdded(
            revision=held.revision + 1 if held else 1,
            definition=wanted,
            answers=answers.by_label,
            tokenizer_digest=answers.tokenizer_digest,
            rows=frozen,
            added_at=at,
            trains_again=held is not None and await self._was_in_vain(held.name),
        )
        trains = held is None or added.trains_differently_from(held)
        minutes = await self.checking.expected_minutes(wanted, rows, frozen.digest) if trains else 0.0
        said = changes(held, added)
        if held is not None and not said:
            nothing = [f"nothing differs from revision {held.revision}, nothing is trained"]
            if (under_way := self.rounds.under_way(held.name)) is not None:
                nothing.append(f"its round is under way ({under_way.sentence})")
            return Prepared(held, rows, nothing, 0.0, False, False, False, answers.words_to_name)
        return Prepared(added, rows, said, minutes, held is None, True, trains, answers.words_to_name)

    async def add(self, submission: Submission) -> tuple[Prepared, str | None]:
        """The revision that holds now, and the id of the round it starts. Raises like `prepare`."""
        async with self._locks[submission.definition.workload.name]:
            prepared = await self.prepare(submission)
            if not prepared.differs:
                self.on_stored()  # the one before is kept, and perhaps no more than that
                return prepared, None
            added = prepared.added
            if not added.rows.uri:
                frozen = await asyncio.to_thread(self._freeze, added.name, prepared.rows)
                added = added.model_copy(update={"rows": frozen})
            begun = of_revision(added.name, added.revision, added.rows.rows) if prepared.trains else None
            await self._keep(added, begun)
            return prepared, begun.round_id if begun else None

    async def retire(self, name: str) -> WorkloadAdded:
        """The revision that rests; the one before if it did already."""
        async with self._locks[name]:
            held = (await self.store.revisions(name))[-1]
            if held.is_retired:
                self.on_stored()  # as in `add`
                return held
            at = self.clock()
            resting = held.model_copy(
                update={
                    "revision": held.revision + 1,
                    "added_at": at,
                    "retired_at": at,
                    "trains_again": False,
                }
            )
            await self._keep(resting)
            return resting

    async def _keep(self, added: WorkloadAdded, begun: Round | None = None) -> None:
        """In this order: a round without its revision would be undecided for ever."""
        await self.store.keep_revision(added, is_published=False)
        self.on_stored()  # whatever becomes of the rest: who publishes it begins its round, too
        if begun is not None:
            await self.rounds.begin(begun)
        self.workloads.apply(added)

    def _rows(
        self, submission: Submission, wanted: Workload, held: WorkloadAdded | None
    ) -> list[LabelledRow]:
        if isinstance(submission.rows, RowsFile):
            return read_file(submission.rows.name, submission.rows.content, wanted)
        if submission.rows is not None:
            return read_list(submission.rows, wanted)
        try:
            if submission.rows_uri is not None:
                content = self.files.content(submission.rows_uri)
                return read_file(submission.rows_uri.rpartition("/")[2], content, wanted)
            if held is not None:
                return kept_rows(self.files.rows(held.rows), wanted)
        except (FileNotFoundError, DigestMismatch) as error:
            way_out = "Send them as a file, or put them below FILES_URI and name that place."
            raise BadWorkload([Complaint("rows", f"cannot be read: {error}. {way_out}")]) from None
        raise BadWorkload(
            [Complaint("rows", "a new workload needs its labelled rows, as CSV or JSON Lines.")]
        )

    def _held_rows(
        self, held: WorkloadAdded | None, wanted: Workload, rows: Sequence[LabelledRow]
    ) -> FrozenFile | None:
        """The frozen rows of the revision before, if they are the same but for labels' names."""
        if held is None:
            return None
        try:
            before = wanted.in_present_labels(self.files.rows(held.rows))
        except (FileNotFoundError, DigestMismatch):
            return None
        return held.rows if before == [row.as_json() for row in rows] else None

    def _freeze(self, name: str, rows: Sequence[LabelledRow]) -> FrozenFile:
        return self.files.freeze_rows(f"workloads/{name}/rows", [row.as_json() for row in rows])

    async def _was_in_vain(self, name: str) -> bool:
        """Whether the last round, of a revision, came to no model: added again, it is tried again."""
        last = self.rounds.latest(name)
        if last is None or last.kind is not Kind.REVISION:
            return False
        no_champion = last.outcome == "held" and await self.views.champion(name) is None
        return no_champion or last.outcome in ("refused", "failed")


def _not_yet_frozen(rows: Sequence[LabelledRow]) -> FrozenFile:
    """Stands for rows that are only written when the revision is added."""
    said = json.dumps([row.as_json() for row in rows], ensure_ascii=False)
    digest = hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()
    return FrozenFile(uri="", digest=f"sha256:{digest}", rows=len(rows))
