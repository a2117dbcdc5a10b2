"""What was appended is read once, in order, whatever happened in between."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from shared.events.envelope import Record, record
from shared.outbox import NotRecorded, OutboxSettings, orphaned_outboxes
from shared.outbox.lines import NotARecord, lines_of, record_in
from shared.outbox.outbox import Place
from tests.shared.outbox.records import ids, outbox, predicted, prediction, small, waiting

LINE = len(lines_of([small("a")], 1_800_000_000_000))


def segments(parent: Path) -> list[Path]:
    return sorted((parent / "outbox").glob("*.jsonl"))


async def test_a_record_comes_back_as_it_was_appended(tmp_path: Path) -> None:
    with outbox(tmp_path) as opened:
        await opened.append([predicted(1), small("two")])
        await opened.append([predicted(3)])
        back = waiting(opened)
    assert ids(back) == ids([predicted(1), small("two"), predicted(3)])
    assert (back[1].topic, back[1].key, back[1].value) == ("topic", b"key", b'"two"')
    assert "Where is my\\r\\n money?" in back[0].value.decode()


def test_a_value_on_several_lines_is_one_line_of_the_outbox() -> None:
    lines = lines_of([Record("t", b"k", b'{\n"a":\r\n1}', {})], 0)
    assert lines.count(b"\n") == 1
    assert record_in(lines.rstrip(b"\n"))[0].value == b'{ "a":\r 1}'


def test_a_line_of_0_2_is_its_prediction() -> None:
    one = prediction(1)
    made, at = record_in(one.model_dump_json().encode())
    assert (made, at) == (record(one, "model_gateway"), None)


@pytest.mark.parametrize("line", [b"", b"\0\0\0", b'{"topic": "t"}', b"[]", b'{"prediction_id": "tor'])
def test_what_is_no_record_is_told_from_one(line: bytes) -> None:
    with pytest.raises(NotARecord):
        record_in(line)


async def test_reading_goes_on_where_it_ended(tmp_path: Path) -> None:
    with outbox(tmp_path) as opened:
        await opened.append([small("one"), small("two")])
        lines, place = opened.read(opened.published, 1)
        assert ids([record_in(line)[0] for line in lines]) == ["one"]
        lines, place = opened.read(place, 1 << 20)
        assert ids([record_in(line)[0] for line in lines]) == ["two"]
        assert opened.read(place, 1 << 20) == ([], place)


async def test_a_restart_goes_on_where_the_last_one_was_published(tmp_path: Path) -> None:
    with outbox(tmp_path) as opened:
        await opened.append([small("published")])
        _, place = opened.read(opened.published, 1)
        await opened.append([small("not published")])
        opened.mark_published(place)
    with outbox(tmp_path) as opened:
        await opened.append([small("after")])
        assert ids(waiting(opened)) == ["not published", "after"]


async def test_a_torn_last_line_is_never_read(tmp_path: Path) -> None:
    with outbox(tmp_path) as opened:
        await opened.append([small("whole")])
    [segment] = segments(tmp_path)
    segment.write_bytes(segment.read_bytes() + b'{"at":1,"topic":"tor')
    with outbox(tmp_path) as opened:
        await opened.append([small("next")])
        assert ids(waiting(opened)) == ["whole", "next"]


async def test_segments_that_were_published_leave_the_disk(tmp_path: Path) -> None:
    with outbox(tmp_path, segment_bytes=LINE + 1) as opened:
        for number in range(6):
            await opened.append([small(str(number))])
        assert len(segments(tmp_path)) == 3
        opened.mark_published(Place(3, 2 * LINE))
        assert len(segments(tmp_path)) == 1
        assert opened.backlog_bytes == 0


async def test_the_backlog_is_what_is_not_published_and_how_long_it_has_waited(tmp_path: Path) -> None:
    with outbox(tmp_path, segment_bytes=LINE + 1) as opened:
        assert (opened.backlog_bytes, opened.oldest_seconds) == (0, 0)
        for number in range(3):
            await opened.append([small(str(number))])
        assert opened.backlog_bytes == 3 * LINE
        opened.mark_published(Place(1, LINE))
        assert opened.backlog_bytes == 2 * LINE
        assert opened.oldest_seconds > 0
        opened.mark_published(Place(2, LINE))
        assert (opened.backlog_bytes, opened.oldest_seconds) == (0, 0)


async def test_how_long_the_oldest_has_waited_is_known_after_a_restart(tmp_path: Path) -> None:
    with outbox(tmp_path) as opened:
        opened._write(lines_of([small("old")], 1), 1)
    with outbox(tmp_path) as opened:
        assert opened.oldest_seconds > 50 * 365 * 86_400


async def test_past_its_bound_nothing_is_recorded_until_something_was_published(tmp_path: Path) -> None:
    with outbox(tmp_path, segment_bytes=LINE, most_bytes=2 * LINE) as opened:
        await opened.append([small("b")])
        await opened.append([small("c")])
        with pytest.raises(NotRecorded):
            await opened.append([small("d")])
        opened.mark_published(Place(2, 0))
        await opened.append([small("e")])
        assert ids(waiting(opened)) == ["c", "e"]


async def test_a_write_that_stops_halfway_leaves_nothing_behind(tmp_path: Path) -> None:
    with outbox(tmp_path) as opened:
        await opened.append([small("first")])
        unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(2.5 * LINE), unlimited[1]))
        try:
            with pytest.raises(NotRecorded):
                await opened.append([small("longer"), small("than the room that is left")])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        await opened.append([small("second")])
        assert ids(waiting(opened)) == ["first", "second"]


async def test_a_disk_that_takes_no_note_of_what_is_published_gets_its_room_back(tmp_path: Path) -> None:
    with outbox(tmp_path, segment_bytes=1) as opened:
        for number in range(3):
            await opened.append([small(str(number))])
        (tmp_path / "outbox").chmod(0o700)
        unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, unlimited[1]))
        try:
            opened.mark_published(opened.end)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        assert segments(tmp_path) == []
    with outbox(tmp_path) as opened:
        await opened.append([small("after")])
        assert ids(waiting(opened)) == ["after"]


async def test_with_fsync_many_at_once_are_all_recorded_across_segments(tmp_path: Path) -> None:
    with outbox(tmp_path, segment_bytes=20 * LINE, fsync=True) as opened:
        names = [f"line {number:03d}" for number in range(100)]
        await asyncio.gather(*(opened.append([small(name)]) for name in names))
        assert ids(waiting(opened)) == names


async def test_two_processes_on_one_volume_have_an_outbox_each(tmp_path: Path) -> None:
    with outbox(tmp_path) as one, outbox(tmp_path) as other:
        await one.append([small("one")])
        await other.append([small("other")])
        assert (ids(waiting(one)), ids(waiting(other))) == (["one"], ["other"])
        assert list(orphaned_outboxes(tmp_path, OutboxSettings())) == []


async def test_the_outbox_of_a_process_that_ended_is_found_by_another(tmp_path: Path) -> None:
    with outbox(tmp_path):
        with outbox(tmp_path) as ended:
            await ended.append([small("left")])
        [orphan] = orphaned_outboxes(tmp_path, OutboxSettings())
        assert ids(waiting(orphan)) == ["left"]
        assert list(orphaned_outboxes(tmp_path, OutboxSettings())) == []
        orphan.mark_published(orphan.end)
        orphan.close()
        assert list(orphaned_outboxes(tmp_path, OutboxSettings())) == []


async def test_a_disk_that_refuses_an_outbox_costs_the_records_and_not_the_process(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "outbox").touch()  # a file where its folder would be
    with outbox(tmp_path) as opened:
        with pytest.raises(NotRecorded, match="refused"):
            await opened.append([small("one")])
        assert (opened.backlog_bytes, waiting(opened)) == (0, [])
    assert "no outbox can be kept" in caplog.text


WRITER = """
import asyncio, sys
from pathlib import Path
from shared.outbox import OutboxSettings, own_outbox
from tests.shared.outbox.records import small
async def main():
    outbox = own_outbox(Path(sys.argv[1]), OutboxSettings(segment_bytes=4000))
    for number in range(10**6):
        await outbox.append([small(str(number))])
        print(number, flush=True)
asyncio.run(main())
"""


def test_after_kill_9_every_acknowledged_record_is_there(tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    acknowledged = [writer.stdout.readline().decode().strip() for _ in range(2000)]
    writer.kill()
    acknowledged += writer.stdout.read().decode().split("\n")
    writer.stdout.close()
    writer.wait()
    acknowledged = [name for name in acknowledged if name]
    with outbox(tmp_path) as opened:
        names = ids(waiting(opened))
    assert names[: len(acknowledged)] == acknowledged
    assert len(names) - len(acknowledged) <= 1
