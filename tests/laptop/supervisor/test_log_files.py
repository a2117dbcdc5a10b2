"""A child's log keeps to its bounds."""

from __future__ import annotations

from pathlib import Path

from deploy.laptop.log_files import MOST_BYTES, keep_in_bounds, last_line, open_log


def write(file: Path, content: bytes) -> None:
    with open_log(file) as log:
        log.write(content)


def test_a_log_goes_on_until_it_is_large_and_then_begins_anew(tmp_path: Path) -> None:
    file = tmp_path / "logs" / "kafka.log"
    write(file, b"first\n")
    write(file, b"x" * MOST_BYTES)
    assert file.stat().st_size > MOST_BYTES
    write(file, b"new\n")
    assert file.read_bytes() == b"new\n"
    write(file, b"y" * MOST_BYTES)
    write(file, b"newest\n")
    assert sorted(path.name for path in file.parent.iterdir()) == ["kafka.log", "kafka.log.1"]


def test_a_log_begins_anew_under_its_writer_and_its_end_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "models.log"
    with open_log(file) as log:
        log.write(b"old" + b"x" * 3 * MOST_BYTES + b"end\n")
        log.flush()
        keep_in_bounds(file)
        log.write(b"new\n")
    assert file.read_bytes() == b"new\n"
    kept = (tmp_path / "models.log.1").read_bytes()
    assert len(kept) == MOST_BYTES
    assert kept.endswith(b"end\n")
    keep_in_bounds(file)
    assert file.read_bytes() == b"new\n"


def test_the_last_line_is_the_last_with_anything_in_it(tmp_path: Path) -> None:
    file = tmp_path / "x.log"
    write(file, b"one\ntwo\n\n")
    assert last_line(file) == "two"


def test_an_empty_log_has_no_last_line(tmp_path: Path) -> None:
    write(tmp_path / "x.log", b"")
    assert last_line(tmp_path / "x.log") == ""
