"""A folder that cannot hold a system is said in one line, before anything is started."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.cli import app
from deploy.laptop.data_folder import ensure_data_folder, saying_the_way_out
from deploy.laptop.errors import LaptopError


@pytest.mark.parametrize("command", ["up", "demo"])
@pytest.mark.parametrize(
    ("folder", "reason"),
    [
        ("file", "{root}/file is a file where a folder should be."),
        ("file/data", "{root}/file/data cannot be used: not a directory."),
        ("/proc/data", "/proc/data cannot be used: no such file or directory."),
    ],
)
def test_a_folder_of_no_use_ends_the_command_with_one_line(
    tmp_path: Path, command: str, folder: str, reason: str
) -> None:
    (tmp_path / "file").touch()
    result = CliRunner().invoke(app, [command, "--data", str(tmp_path / folder), "--services-port", "0"])
    assert result.exit_code == 1
    assert result.output == f"{reason.format(root=tmp_path)} Choose another folder: --data FOLDER\n"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_disk_without_room_is_said_with_what_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=41_000_000))
    with pytest.raises(LaptopError, match=r"^41 MB are free for .*, and 200 MB are needed\. Make room, or"):
        ensure_data_folder(tmp_path)


def test_a_write_that_fails_names_the_file_and_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "ports.json").mkdir()
    said = r"cannot be used: is a directory \(.*/ports.json\)\. Choose"
    with pytest.raises(LaptopError, match=said), saying_the_way_out(tmp_path):
        (tmp_path / "ports.json").write_text("{}")


@pytest.mark.parametrize("name", ["back\\slash", "line\nbreak", os.fsdecode(b"\xff")])
def test_a_name_that_clickhouse_cannot_take_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(LaptopError, match="backslash") as refusal:
        ensure_data_folder(tmp_path / name)
    assert str(refusal.value).encode().count(b"\n") == 0
    assert not (tmp_path / name).exists()


def test_a_folder_that_is_there_or_can_be_made_is_taken(tmp_path: Path) -> None:
    ensure_data_folder(tmp_path / "deep" / "data ü#%?")
    ensure_data_folder(tmp_path / "deep" / "data ü#%?")


def test_other_users_cannot_look_into_a_new_folder(tmp_path: Path) -> None:
    ensure_data_folder(tmp_path / "new")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", [".lock", "clickhouse"])
def test_nor_into_one_of_an_earlier_version_or_a_restored_one(tmp_path: Path, name: str) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / name).touch()
    ensure_data_folder(tmp_path)
    assert tmp_path.stat().st_mode & 0o777 == 0o700


def test_the_mode_of_a_folder_with_other_things_is_left_alone_and_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "letters").mkdir()
    with pytest.raises(LaptopError, match=f"chmod 700 {tmp_path}. Choose another folder: --data FOLDER"):
        ensure_data_folder(tmp_path)
    assert tmp_path.stat().st_mode & 0o777 == 0o755
