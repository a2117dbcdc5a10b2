"""The Audit page: what was done in words, and everything in it is text."""

from __future__ import annotations

import pytest

from services.console.audited import Audited
from services.console.pages.frame import OF_ALL, PAGES
from services.console.sign_in import PAGES as LEADS_TO
from services.console.templating import make_render
from tests.services.console.examples import NOW
from tests.services.console.hostile import HOSTILE


def audited(status: int = 202, count: int = 1, path: str = "/workloads/tickets/rollback") -> Audited:
    return Audited(
        principal="p-8c1f0a2d77e4",
        verb="operate",
        method="POST",
        path=path,
        status=status,
        address="10.0.3.17",
        count=count,
        at=NOW,
    )


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (audited(202), "done"),
        (audited(303), "done"),
        (audited(409), "declined"),
        (audited(500), "failed"),
        (audited(403), "refused"),
        (audited(401, 1200), "refused 1,200 times"),
    ],
)
def test_what_became_of_it_is_a_word(row: Audited, said: str) -> None:
    assert row.outcome == said


def test_a_row_says_who_what_when_and_from_where_and_runs_nothing() -> None:
    page = make_render(lambda: NOW)("audit.html", rows=[audited(path=f"/{HOSTILE}")], most=200)
    for word in ("p-8c1f0a2d77e4", "10.0.3.17", "operate", "done"):
        assert word in page
    assert HOSTILE not in page, "it is escaped"


def test_every_page_is_one_to_come_back_to_after_signing_in() -> None:
    assert {path for _, path in PAGES + OF_ALL} <= set(LEADS_TO)
