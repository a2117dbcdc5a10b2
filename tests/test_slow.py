"""A test is slow by what it starts, however far away the start stands."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers.kafka import EmbeddedKafka, embedded_kafka
from tests.servers.model import free_port
from tests.services.console.browser import browser
from tests.slow import starts_something


@contextmanager
def a_broker(folder: Path) -> Iterator[str]:
    with embedded_kafka(folder) as address:
        yield address


class Holder:
    @property
    def broker(self) -> EmbeddedKafka:
        return EmbeddedKafka(Path())


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    with a_broker(tmp_path) as address:
        yield address


def uses_a_helper() -> None:
    with a_broker(Path()):
        pass


def uses_a_class() -> None:
    Holder()


def runs_a_process() -> None:
    subprocess.run(["true"], check=True)


async def opens_a_browser() -> None:
    async with browser("chromium", Path()):
        pass


def starts_inside() -> None:
    def inner() -> None:
        EmbeddedKafka(Path()).start()

    inner()


def asks_for_a_port() -> int:
    return free_port()


def calculates() -> int:
    return sum(range(3))


@pytest.mark.parametrize(
    "function", [uses_a_helper, uses_a_class, runs_a_process, opens_a_browser, starts_inside]
)
def test_what_starts_something_is_slow(function: object) -> None:
    assert starts_something(function)


@pytest.mark.parametrize("function", [asks_for_a_port, calculates])
def test_what_starts_nothing_is_fast(function: object) -> None:
    assert not starts_something(function)


def test_a_test_is_slow_by_its_fixture(request: pytest.FixtureRequest) -> None:
    """`address` is not asked for here: its definition alone is read."""
    (definition,) = request.session._fixturemanager.getfixturedefs("address", request.node) or ()
    assert starts_something(definition.func)
