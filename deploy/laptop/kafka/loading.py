"""A partition's folder becomes segments again: by their index files, or from what lies in the segments."""

import logging
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from deploy.laptop.kafka import index_file
from deploy.laptop.kafka.batch import HEADER, BatchHeader, InvalidBatch
from deploy.laptop.kafka.index_file import Checkpoint, SegmentFacts, WrongIndex
from deploy.laptop.kafka.repair import NO_LIMIT, repair
from deploy.laptop.kafka.segment import OpenFile, Segment
from deploy.laptop.kafka.segment_scan import headers
from deploy.laptop.kafka.sequences import REMEMBERED_MS, ProducerSequences
from deploy.laptop.kafka.sparse_index import SparseIndex

logger = logging.getLogger(__name__)


class Loaded(NamedTuple):
    """A partition: the last segment is open for appending, `checkpoint_bytes` of it are in its index file."""

    segments: list[Segment]
    sequences: ProducerSequences
    checkpoint_bytes: int


def loaded(folder: Path, start: int) -> Loaded:
    """All that the folder holds, or a first segment that begins at `start`.

    Of closed segments the index file is enough; without one (made by an older version, or killed before it
    was written) headers are read and the file is made. Of the last one everything behind its checkpoint is
    read and its checksums are tried. Damage is repaired, see repair.py.
    """
    logs = sorted(folder.glob("*.log"))
    segments: list[Segment] = []
    for log, following in pairwise(logs):
        try:
            facts = _facts_of_closed(log)
        except WrongIndex:
            checkpoint = _indexed(log, int(following.stem), _paths(segments))
            if checkpoint is None:
                continue
            facts = checkpoint.facts
        segments.append(Segment(log, facts))
    if not logs:
        return Loaded([Segment.new(folder, start)], ProducerSequences(), 0)
    last, sequences, checkpoint_bytes = _last(logs[-1], _paths(segments))
    return Loaded([*segments, last], sequences, checkpoint_bytes)


def _paths(segments: Sequence[Segment]) -> list[Path]:
    return [segment.path for segment in segments]


def _facts_of_closed(log: Path) -> SegmentFacts:
    """Raises WrongIndex."""
    facts = index_file.facts_of(log)
    if (facts.base_offset, facts.size) != (int(log.stem), log.stat().st_size):
        raise WrongIndex(f"the index of {log} is not about what is there")
    return facts


def _indexed(log: Path, below: int, before: Sequence[Path]) -> Checkpoint | None:
    """Makes the index file of a closed segment from the segment; None if nothing of it could be kept."""
    started = time.monotonic()
    checkpoint = _scanned(log, _nothing_of(log, before), below, before, is_last=False)
    if checkpoint is not None:
        index_file.write(log, index_file.encoded(checkpoint, is_synced=True))
        logger.info("%s: index made in %.1f s", log, time.monotonic() - started)
    return checkpoint


def _last(log: Path, before: Sequence[Path]) -> tuple[Segment, ProducerSequences, int]:
    try:
        known = _checkpoint_of_last(log)
    except WrongIndex:
        known = _nothing_of(log, before)
    checkpoint_bytes = known.facts.size
    scanned = _scanned(log, known, NO_LIMIT, before, is_last=True)
    assert scanned is not None  # a last segment is cut, in the worst case down to nothing
    segment = Segment(log, scanned.facts, scanned.index)
    segment.open()
    return segment, ProducerSequences.from_bytes(scanned.producers), min(checkpoint_bytes, segment.size)


def _checkpoint_of_last(log: Path) -> Checkpoint:
    """Raises WrongIndex, also if the checkpoint's last batch is not where it says: an older version may have
    cut the file and gone on."""
    checkpoint = index_file.read(log)
    facts = checkpoint.facts
    is_about_it = facts.base_offset == int(log.stem) and facts.size <= log.stat().st_size
    if is_about_it and facts.size:
        file = OpenFile(log, os.O_RDONLY)
        header = BatchHeader.parse(os.pread(file.fd, HEADER.size, facts.last_position))
        is_about_it = (header.next_offset, facts.last_position + header.size) == (
            facts.next_offset,
            facts.size,
        )
    if not is_about_it:
        raise WrongIndex(f"the index of {log} is not about what is there")
    return checkpoint


def _scanned(
    log: Path, known: Checkpoint, below: int, before: Sequence[Path], *, is_last: bool
) -> Checkpoint | None:
    """The segment read to its end, from what is `known` on, and repaired; None if nothing of it is left.

    `below` is where the following segment begins.
    """
    checkpoint, problem = _read_on(log, known, verify=is_last)
    if problem is None:
        return checkpoint
    repair(log, int(log.stem), below, problem, is_last=is_last)
    if not log.exists():
        index_file.path_of(log).unlink(missing_ok=True)
        return None
    if log.stat().st_size != checkpoint.facts.size:  # batches behind the damage were kept
        checkpoint, problem = _read_on(log, _nothing_of(log, before), verify=is_last)
        if problem is not None:
            raise OSError(f"{log} reads differently each time: {problem}")
    return checkpoint


def _read_on(log: Path, known: Checkpoint, *, verify: bool) -> tuple[Checkpoint, InvalidBatch | None]:
    """What the segment holds up to its end, or up to what is wrong with it."""
    sequences, index, facts = ProducerSequences.from_bytes(known.producers), known.index, known.facts
    seen_ms = _modified_ms(log)
    are_remembered = seen_ms > time.time() * 1000 - REMEMBERED_MS
    file = OpenFile(log, os.O_RDONLY)
    end, newest, found, problem = os.fstat(file.fd).st_size, facts.max_timestamp, None, None
    try:
        for found in headers(file.fd, facts.size, end, facts.next_offset, verify=verify):
            position, header = found
            index.note(position, header.base_offset, header.max_timestamp)
            newest = max(newest, header.max_timestamp)
            if are_remembered:
                sequences.note(header, seen_ms)
    except InvalidBatch as wrong:
        problem = wrong
    if found is not None:
        position, header = found
        facts = replace(
            facts, next_offset=header.next_offset, size=position + header.size,
            last_position=position, max_timestamp=newest,
        )  # fmt: skip
    return Checkpoint(facts, index, sequences.to_bytes()), problem


def _nothing_of(log: Path, before: Sequence[Path]) -> Checkpoint:
    """Nothing read yet; producers as they were at the end of the segments `before`."""
    base = int(log.stem)
    facts = SegmentFacts(base, base, 0, 0, -1, _modified_ms(log))
    return Checkpoint(facts, SparseIndex(), _producers(before))


def _producers(closed: Sequence[Path]) -> bytes:
    """As the last of these segments knows them; if its index file does not, it is made again."""
    if not closed:
        return b""
    try:
        return index_file.read(closed[-1]).producers
    except WrongIndex:
        checkpoint = _indexed(closed[-1], NO_LIMIT, closed[:-1])
        return checkpoint.producers if checkpoint is not None else _producers(closed[:-1])


def _modified_ms(log: Path) -> int:
    return int(log.stat().st_mtime * 1000)
