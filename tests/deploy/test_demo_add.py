"""The demo's workload is added to services that may still be starting."""

from __future__ import annotations

import pytest
from fastapi import FastAPI

from deploy.demo import add_workload as module
from deploy.demo.add_workload import add_workload
from deploy.demo.follow_events import LoopStopped
from shared.problems import Problem, answer_with_problems, come_again
from tests.servers.http import serving
from tests.services.human_review.conftest import workload_added

WORKLOAD = workload_added().definition


class Service:
    """Refuses with these, one after the other, and then adds what comes."""

    def __init__(self, *problems: Problem) -> None:
        self.app, self.problems = FastAPI(), list(problems)
        answer_with_problems(self.app)

        @self.app.post("/workloads")
        async def add() -> dict[str, int]:
            if self.problems:
                raise self.problems.pop(0)
            return {"revision": 1}


def away() -> Problem:
    return come_again("No answer from the model server", "It starts. Try again in a moment.")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.01)


@pytest.mark.usefixtures("quick")
async def test_who_is_away_for_now_is_asked_again() -> None:
    async with serving(Service(away(), away()).app) as url:
        assert await add_workload(url, WORKLOAD, []) == {"revision": 1}


@pytest.mark.usefixtures("quick")
async def test_who_is_away_for_long_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.0)
    async with serving(Service(away(), away()).app) as url:
        with pytest.raises(LoopStopped, match="licences is not added: It starts"):
            await add_workload(url, WORKLOAD, [])


async def test_what_is_wrong_is_not_asked_again() -> None:
    async with serving(Service(Problem(422, "Bad workload", "No rows.")).app) as url:
        with pytest.raises(LoopStopped, match="No rows"):
            await add_workload(url, WORKLOAD, [])
