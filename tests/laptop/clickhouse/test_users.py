"""Who may do what: nobody gets in without the generated password."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit

import pytest

from deploy.laptop.clickhouse.configuration import basic_login
from deploy.laptop.clickhouse.ready import takes_queries
from deploy.laptop.clickhouse.users import ensure_passwords, users_xml
from shared.clickhouse.opening import LONGEST_SECONDS
from tests.servers.clickhouse import execute, start_clickhouse, stop, wait_until_ready
from tests.servers.model import free_port


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("users")


@pytest.fixture(scope="module")
def urls(folder: Path) -> Iterator[dict[str, str]]:
    """URLs of the two users of a server with one table of one row."""
    port = free_port()
    process = start_clickhouse(folder, port)
    owner = wait_until_ready(process, folder, port)
    execute(owner, "CREATE DATABASE tuneloop")
    execute(owner, "CREATE TABLE tuneloop.notes (id String) ENGINE = MergeTree ORDER BY id")
    execute(owner, "INSERT INTO tuneloop.notes VALUES ('kept')")
    passwords = ensure_passwords(folder / "passwords.json")
    yield {
        "tuneloop": owner,
        "reader": f"http://reader:{passwords.reader}@127.0.0.1:{port}/tuneloop",
    }
    stop(process)


STRANGERS: dict[str, Mapping[str, str]] = {
    "nobody": {},
    "default by Basic": {"Authorization": basic_login("default", "")},
    "default by headers": {"X-ClickHouse-User": "default"},
    "tuneloop with a wrong password": {"Authorization": basic_login("tuneloop", "wrong")},
}


@pytest.mark.parametrize("headers", STRANGERS.values(), ids=STRANGERS)
@pytest.mark.parametrize("path", ["/", "/?user=default", "/play", "/dashboard", "/ping/", "/replicas_status"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_without_a_login_no_query_is_read_whoever_asks(
    urls: dict[str, str], method: str, path: str, headers: Mapping[str, str]
) -> None:
    reply, said = _asked(urls, method, path, headers, "SELECT 1" if method == "POST" else None)
    assert reply.status == 403
    assert said.startswith("Code: 516. ")
    assert reply.getheader("Access-Control-Allow-Origin") is None


def test_a_web_page_cannot_end_the_listening(urls: dict[str, str]) -> None:
    evil = {"Origin": "https://evil.example", "Content-Type": "text/plain"}
    assert _asked(urls, "POST", "/", evil, "SYSTEM STOP LISTEN HTTP")[0].status == 403
    assert takes_queries(urls["tuneloop"])


def test_no_origin_may_read_an_answer_even_with_a_login(urls: dict[str, str]) -> None:
    for path in ("/?query=SELECT+1", "/ping"):
        login = {"Authorization": basic_login("reader", str(urlsplit(urls["reader"]).password))}
        reply, _ = _asked(urls, "GET", path, login | {"Origin": "https://evil.example"})
        assert reply.status == 200
        assert reply.getheader("Access-Control-Allow-Origin") is None


@pytest.mark.parametrize("statement", ["SYSTEM STOP LISTEN HTTP", "SELECT * FROM system.numbers LIMIT 1"])
def test_the_reader_gains_nothing_by_becoming_the_engine(urls: dict[str, str], statement: str) -> None:
    """The server takes `?user=` beside a login; the engine's user has spent its two statements."""
    login = {"Authorization": basic_login("reader", str(urlsplit(urls["reader"]).password))}
    for _ in range(3):
        reply, said = _asked(urls, "POST", "/?user=default", login, statement)
        assert reply.status == 500
        assert "QUOTA_EXCEEDED" in said
    assert takes_queries(urls["tuneloop"])


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("SELECT groupArray(number) FROM numbers(1000000000)", "MEMORY_LIMIT_EXCEEDED"),
        ("SELECT number FROM numbers(100000000) FORMAT Null", "TOO_MANY_ROWS_OR_BYTES"),
        ("SELECT 1 SETTINGS max_execution_time = 0", "SETTING_CONSTRAINT_VIOLATION"),
        ("SELECT 1 SETTINGS max_memory_usage_for_user = 0", "SETTING_CONSTRAINT_VIOLATION"),
        ("SELECT 1 SETTINGS max_result_bytes = 0", "SETTING_CONSTRAINT_VIOLATION"),
    ],
)
def test_what_the_reader_asks_is_bounded(urls: dict[str, str], statement: str, why: str) -> None:
    with pytest.raises(HTTPError) as refused:
        execute(urls["reader"], statement)
    assert why in refused.value.read().decode()


def test_the_services_queries_are_bounded_too_and_may_last_as_long_as_their_client_waits(
    urls: dict[str, str],
) -> None:
    bounds = (
        "SELECT name, value FROM system.settings WHERE name IN ('max_execution_time', 'max_memory_usage')"
    )
    found = dict(line.split("\t") for line in execute(urls["tuneloop"], bounds).splitlines())
    assert float(found["max_execution_time"]) == LONGEST_SECONDS
    assert 0 < int(found["max_memory_usage"]) <= 2_000_000_000


def test_the_reader_looks_and_changes_nothing(urls: dict[str, str]) -> None:
    assert execute(urls["reader"], "SELECT id FROM tuneloop.notes") == "kept\n"
    for statement in ("INSERT INTO tuneloop.notes VALUES ('planted')", "DROP TABLE tuneloop.notes"):
        with pytest.raises(HTTPError):
            execute(urls["reader"], statement)
    assert execute(urls["tuneloop"], "SELECT id FROM tuneloop.notes") == "kept\n"


def test_whoever_may_not_read_the_passwords_may_not_read_them_in_the_configuration(
    urls: dict[str, str], folder: Path
) -> None:
    for name in ("config.xml", "users.xml"):
        assert (folder / "clickhouse" / name).stat().st_mode & 0o777 == 0o600


def _asked(
    urls: dict[str, str], method: str, path: str, headers: Mapping[str, str], body: str | None = None
) -> tuple[HTTPResponse, str]:
    parts = urlsplit(urls["tuneloop"])
    connection = HTTPConnection(str(parts.hostname), parts.port, timeout=30)
    try:
        connection.request(method, path, body, dict(headers))
        reply = connection.getresponse()
        return reply, reply.read().decode()
    finally:
        connection.close()


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
