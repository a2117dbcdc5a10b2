"""What was appended is read once, in order, whatever happened in between."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.model_gateway.outbox import InUse, NotRecorded, Outbox, Place


@contextmanager
def outbox(
    folder: Path, *, segment_bytes: int = 1 << 20, most_bytes: int = 1 << 30, fsync: bool = False
) -> Iterator[Outbox]:
    opened = Outbox(folder, segment_bytes=segment_bytes, most_bytes=most_bytes, fsync=fsync)
    try:
        yield opened
    finally:
        opened.close()


def everything(opened: Outbox) -> list[bytes]:
    lines: list[bytes] = []
    place = opened.published
    while True:
        more, place = opened.read(place)
        if not more:
            return lines
        lines += more


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl"))


async def test_lines_come_back_in_order_and_only_once(tmp_path: Path) -> None:
    with outbox(tmp_path) as opened:
        await opened.append(b"one")
        await opened.append(b"two")
        lines, place = opened.read(opened.published)
        assert lines == [b"one", b"two"]
        assert opened.read(place) == ([], place)
        await opened.append(b"three")
        assert opened.read(place)[0] == [b"three"]


async def test_a_restart_goes_on_where_the_last_one_was_said(tmp_path: Path) -> None:
    with outbox(tmp_path) as opened:
        await opened.append(b"published")
        _, place = opened.read(opened.published)
        await opened.append(b"not published")
        await opened.mark_published(place)
    with outbox(tmp_path) as opened:
        await opened.append(b"after")
        assert everything(opened) == [b"not published", b"after"]


async def test_a_torn_last_line_is_never_read(tmp_path: Path) -> None:
    with outbox(tmp_path) as opened:
        await opened.append(b"whole")
    [segment] = segments(tmp_path)
    segment.write_bytes(segment.read_bytes() + b'{"prediction_id": "tor')
    with outbox(tmp_path) as opened:
        await opened.append(b"next")
        assert everything(opened) == [b"whole", b"next"]


async def test_segments_that_were_said_leave_the_disk(tmp_path: Path) -> None:
    with outbox(tmp_path, segment_bytes=10) as opened:
        for number in range(6):
            await opened.append(b"line %d" % number)
        assert len(segments(tmp_path)) == 3
        place = opened.published
        for _ in range(3):
            _, place = opened.read(place)
        await opened.mark_published(place)
        assert len(segments(tmp_path)) == 1
        assert opened.backlog_bytes == 0


async def test_the_backlog_is_what_is_not_said(tmp_path: Path) -> None:
    with outbox(tmp_path, segment_bytes=10) as opened:
        for _ in range(3):
            await opened.append(b"seven b")
        assert opened.backlog_bytes == 24
        await opened.mark_published(Place(1, 8))
        assert opened.backlog_bytes == 16


async def test_past_its_bound_nothing_is_recorded_until_something_was_said(tmp_path: Path) -> None:
    with outbox(tmp_path, segment_bytes=8, most_bytes=20) as opened:
        await opened.append(b"seven b")
        await opened.append(b"seven c")
        with pytest.raises(NotRecorded):
            await opened.append(b"seven d")
        await opened.mark_published(Place(2, 0))
        await opened.append(b"seven e")
        assert everything(opened) == [b"seven c", b"seven e"]


async def test_a_write_that_stops_halfway_leaves_nothing_behind(tmp_path: Path) -> None:
    with outbox(tmp_path) as opened:
        await opened.append(b"first")
        unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, unlimited[1]))
        try:
            with pytest.raises(NotRecorded):
                await opened.append(b"longer than the room that is left")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        await opened.append(b"second")
        assert everything(opened) == [b"first", b"second"]


async def test_with_fsync_many_at_once_are_all_recorded_across_segments(tmp_path: Path) -> None:
    with outbox(tmp_path, segment_bytes=200, fsync=True) as opened:
        lines = [b"line %03d" % number for number in range(100)]
        await asyncio.gather(*(opened.append(line) for line in lines))
        assert everything(opened) == lines


async def test_waiting_ends_with_the_next_line(tmp_path: Path) -> None:
    with outbox(tmp_path) as opened:
        waiting = asyncio.create_task(opened.wait())
        await asyncio.sleep(0)
        assert not waiting.done()
        await opened.append(b"line")
        await waiting


def test_two_gateways_never_write_one_outbox(tmp_path: Path) -> None:
    with outbox(tmp_path), pytest.raises(InUse), outbox(tmp_path):
        pass


WRITER = """
import asyncio, sys
from pathlib import Path
from services.model_gateway.outbox import Outbox
async def main():
    outbox = Outbox(Path(sys.argv[1]), segment_bytes=4000, most_bytes=1 << 30, fsync=False)
    for number in range(10**6):
        await outbox.append(b"line %d" % number)
        print(number, flush=True)
asyncio.run(main())
"""


def test_after_kill_9_every_acknowledged_line_is_there(tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    acknowledged = [int(writer.stdout.readline()) for _ in range(2000)]
    writer.kill()
    acknowledged += [int(line) for line in writer.stdout.read().splitlines() if line]
    writer.stdout.close()
    writer.wait()
    with outbox(tmp_path) as opened:
        lines = everything(opened)
    assert lines[: len(acknowledged)] == [b"line %d" % number for number in acknowledged]
    assert len(lines) - len(acknowledged) <= 1
