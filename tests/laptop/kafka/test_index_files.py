"""Index files: what a start need not read again, and that nothing depends on their being there or right."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.laptop.kafka import index_file, loading
from deploy.laptop.kafka.batch import BatchHeader
from deploy.laptop.kafka.index_file import SegmentFacts, WrongIndex
from deploy.laptop.kafka.log import PartitionLog
from deploy.laptop.kafka.segment_scan import headers
from deploy.laptop.kafka.sequences import REMEMBERED_MS
from deploy.laptop.kafka.sparse_index import INTERVAL_BYTES, SparseIndex
from tests.laptop.kafka.clients import batch_of
from tests.laptop.kafka.test_log import opened

BATCHES = 12
ALL = 1 << 30


def batch(number: int) -> bytes:
    return batch_of([str(number).encode() * 400], producer=(7, 0), sequence=number)


def filled(folder: Path, batches: int = BATCHES) -> PartitionLog:
    """About three batches a segment, all of one idempotent producer."""
    log = opened(folder, segment_bytes="2000")
    for number in range(batches):
        log.append(batch(number))
    return log


def lengths_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Fills with how far headers of a segment had to be read, for each that had to."""
    lengths: list[int] = []

    def noted(file: int, position: int, end: int, next_offset: int, *, verify: bool) -> object:
        lengths.append(end - position)
        return headers(file, position, end, next_offset, verify=verify)

    monkeypatch.setattr(loading, "headers", noted)
    return lengths


@given(sizes=st.lists(st.integers(61, 3 * INTERVAL_BYTES), min_size=1, max_size=60))
def test_every_batch_lies_within_reach_of_its_entry(sizes: list[int]) -> None:
    index, position, starts = SparseIndex(), 0, []
    for offset, size in enumerate(sizes):
        starts.append(position)
        index.note(position, offset, offset)
        position += size
    for offset, start in enumerate(starts):
        for entry in (index.entry_of(offset), index.entry_at(start)):
            assert 0 <= start - index.positions[entry] < INTERVAL_BYTES
            assert start < index.end_of(entry, position)
    assert SparseIndex.from_bytes(index.to_bytes()).positions == index.positions


def test_a_log_that_was_closed_is_opened_without_reading_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = filled(tmp_path)
    before = log.read(0, ALL)
    log.close()
    lengths = lengths_read(monkeypatch)
    again = opened(tmp_path)
    assert lengths == [0]  # of the last segment, what came after its checkpoint
    assert again.read(0, ALL) == before
    assert again.newest() == log.newest()
    again.close()


def test_a_killed_log_reads_again_what_came_after_its_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.laptop.kafka.log.CHECKPOINT_BYTES", 1)
    log = opened(tmp_path)
    for number in range(5):
        log.append(batch(number))
    log.checkpoint()
    for number in range(5, 7):
        log.append(batch(number))
    lengths = lengths_read(monkeypatch)
    again = opened(tmp_path)
    assert lengths == [len(batch(5)) + len(batch(6))]
    assert again.read(0, ALL) == log.read(0, ALL)
    assert again.append(batch(4)).base_offset == 4  # from the checkpoint
    assert again.append(batch(6)).base_offset == 6  # from what was read
    assert again.append(batch(7)).base_offset == 7
    log.close()
    again.close()


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda index: index.unlink(), id="missing, as in folders of version 0.2"),
        pytest.param(lambda index: index.write_bytes(b""), id="empty"),
        pytest.param(lambda index: index.write_bytes(index.read_bytes()[:-1]), id="cut"),
        pytest.param(lambda index: index.write_bytes(b"x" + index.read_bytes()[1:]), id="of another format"),
        pytest.param(
            lambda index: index.write_bytes(index.read_bytes()[:60] + b"\xff" + index.read_bytes()[61:]),
            id="changed in the facts",
        ),
        pytest.param(
            lambda index: index.write_bytes(index.read_bytes()[:-3] + b"\xff\xff\xff"),
            id="changed at the end",
        ),
    ],
)
def test_without_a_right_index_the_same_log_is_there_and_the_producers_are_known(
    tmp_path: Path, harm: Callable[[Path], object]
) -> None:
    log = filled(tmp_path)
    before = log.read(0, ALL)
    log.close()
    for index in tmp_path.glob("*.index"):
        harm(index)
    again = opened(tmp_path, segment_bytes="2000")
    assert again.read(0, ALL) == before
    assert again.read(5, ALL) == before[before.index(batch_at(before, 5)) :]
    for known in range(BATCHES - 5, BATCHES):
        assert again.append(batch(known)).base_offset == known
    assert again.append(batch(BATCHES)).base_offset == BATCHES
    again.close()


def batch_at(data: bytes, offset: int) -> bytes:
    at = 0
    while (header := BatchHeader.parse(data, at)).base_offset != offset:
        at += header.size
    return data[at : at + header.size]


def test_an_index_of_a_segment_that_an_older_version_went_on_with_is_not_believed(tmp_path: Path) -> None:
    log = opened(tmp_path)
    for number in range(4):
        log.append(batch(number))
    log.close()
    segment = next(tmp_path.glob("*.log"))
    index = segment.with_suffix(".index").read_bytes()
    segment.unlink()
    other = opened(tmp_path)
    for number in range(6):
        other.append(batch_of([b"other" * (50 + number)]))
    before = other.read(0, ALL)
    segment.with_suffix(".index").write_bytes(index)
    again = opened(tmp_path)
    assert again.read(0, ALL) == before
    other.close()
    again.close()


def test_a_checkpoint_that_was_not_synced_counts_until_the_machine_starts_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = filled(tmp_path / "log", batches=2)
    segment = next((tmp_path / "log").glob("*.log"))
    checkpoint = log._active.checkpoint(b"")
    boot = tmp_path / "boot_id"
    boot.write_text("one\n")
    monkeypatch.setattr(index_file, "_BOOT_ID", boot)
    index_file.write(segment, index_file.encoded(checkpoint, is_synced=False))
    assert index_file.facts_of(segment) == checkpoint.facts
    boot.write_text("two\n")
    with pytest.raises(WrongIndex, match="started anew"):
        index_file.facts_of(segment)
    index_file.write(segment, index_file.encoded(checkpoint, is_synced=True))
    assert index_file.facts_of(segment) == checkpoint.facts
    log.close()


def test_a_producer_silent_for_a_day_is_forgotten_and_may_go_on(tmp_path: Path) -> None:
    log = filled(tmp_path, batches=1)
    log.close()
    segment = next(tmp_path.glob("*.log"))
    segment.with_suffix(".index").unlink()
    day_ago = time.time() - REMEMBERED_MS / 1000 - 60
    os.utime(segment, (day_ago, day_ago))
    again = opened(tmp_path)
    assert again.append(batch(0)).base_offset == 1
    again.close()


def test_a_full_disk_does_not_keep_a_log_from_closing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log = filled(tmp_path, batches=1)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(index_file, "write", full)
        log.close()
    assert "No space left" in caplog.text
    again = opened(tmp_path)
    assert again.append(batch(0)).base_offset == 0  # known
    again.close()


def test_opening_a_log_leaves_its_time_of_writing(tmp_path: Path) -> None:
    filled(tmp_path, batches=1).close()
    segment = next(tmp_path.glob("*.log"))
    os.utime(segment, (1_000_000_000, 1_000_000_000))
    opened(tmp_path).close()
    assert segment.stat().st_mtime == 1_000_000_000


def test_the_facts_of_a_segment_are_its_batches(tmp_path: Path) -> None:
    log = filled(tmp_path)
    log.close()
    found = [index_file.facts_of(path) for path in sorted(tmp_path.glob("*.log"))]
    ends = [facts.next_offset for facts in found]
    assert ends == [*(facts.base_offset for facts in found[1:]), BATCHES]
    assert all(isinstance(facts, SegmentFacts) and facts.size for facts in found)
