"""Who may do what: nobody gets in without the generated password."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError

import pytest

from deploy.laptop.clickhouse.users import ensure_passwords, users_xml
from tests.servers.clickhouse import execute, start_clickhouse, stop, wait_until_ready
from tests.servers.model import free_port


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """URLs of the three users of a server with one table of one row."""
    folder, port = tmp_path_factory.mktemp("users"), free_port()
    process = start_clickhouse(folder, port)
    owner = wait_until_ready(process, folder, port)
    execute(owner, "CREATE DATABASE tuneloop")
    execute(owner, "CREATE TABLE tuneloop.notes (id String) ENGINE = MergeTree ORDER BY id")
    execute(owner, "INSERT INTO tuneloop.notes VALUES ('kept')")
    passwords = ensure_passwords(folder / "passwords.json")
    yield {
        "tuneloop": owner,
        "reader": f"http://reader:{passwords.reader}@127.0.0.1:{port}/tuneloop",
        "default": f"http://127.0.0.1:{port}/tuneloop",
    }
    stop(process)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM tuneloop.notes",
        "CREATE TABLE tuneloop.mine (id String) ENGINE = Memory",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
        "INSERT INTO FUNCTION file('planted', 'LineAsString') SELECT 'x'",
        "SHOW CREATE USER tuneloop",
    ],
)
def test_without_a_password_nothing_can_be_read_or_changed(urls: dict[str, str], statement: str) -> None:
    with pytest.raises(HTTPError) as refused:
        execute(urls["default"], statement)
    assert "ACCESS_DENIED" in refused.value.read().decode()


def test_the_reader_looks_and_changes_nothing(urls: dict[str, str]) -> None:
    assert execute(urls["reader"], "SELECT id FROM tuneloop.notes") == "kept\n"
    for statement in ("INSERT INTO tuneloop.notes VALUES ('planted')", "DROP TABLE tuneloop.notes"):
        with pytest.raises(HTTPError):
            execute(urls["reader"], statement)
    assert execute(urls["tuneloop"], "SELECT id FROM tuneloop.notes") == "kept\n"


def test_passwords_are_made_once_and_are_their_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "new" / "passwords.json"
    first = ensure_passwords(file)
    assert ensure_passwords(file) == first
    assert first.tuneloop != first.reader
    assert os.stat(file).st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["passwords.json"]


def test_the_configuration_holds_no_password(tmp_path: Path) -> None:
    passwords = ensure_passwords(tmp_path / "passwords.json")
    written = users_xml(passwords)
    assert passwords.tuneloop not in written
    assert passwords.reader not in written
