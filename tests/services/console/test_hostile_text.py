"""Text is text on every page, whoever wrote it: owner, app, reviewer, or model."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from shared import events as e
from shared.events.envelope import Event, now
from tests.servers.model import ROOT
from tests.services.console import examples
from tests.services.console.browser import Page, browser
from tests.services.console.hostile import HOSTILE
from tests.services.console.test_browser import CHROMIUM, served

PAGES = (
    "/",
    "/review",
    "/audit-log",
    "/candidates",
    "/candidates/run-3",
    "/candidates/run-2?workload=tickets",
)
REASON = f"because{HOSTILE}"


async def test_every_page_is_there(database_url: str) -> None:
    async with served("hostile", database_url) as console, aiohttp.ClientSession() as session:
        for path in PAGES:
            async with session.get(console.url + path) as reply:
                page = await reply.text()
            assert reply.status == 200, path
            assert "<form" not in page
            assert "<script>planted" not in page


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium")
async def test_no_word_becomes_an_element_or_runs(tmp_path: Path, database_url: str) -> None:
    assert CHROMIUM is not None
    async with (
        browser(CHROMIUM, tmp_path / "profile") as page,
        served("hostile", database_url) as console,
    ):
        for event in told():
            await console.consume(event)
        shown = {
            "/": "because<",
            "/candidates/run-3": "invoice</script>",
            "/candidates/run-2": "Texts by the makers",
            "/candidates": "Texts by the makers",
            "/review": "Who reviews?",
        }
        for path, words in shown.items():
            await page.open(console.url + path)
            await page.until(f"document.body.innerText.includes({words!r})")
            assert await planted(page) == 0, path
            assert await page.value("document.title") == f"{title(path)} · {WORKLOAD_TITLE} · tuneloop"
        await page.type("Ada")
        await page.press("Enter")
        await page.until("document.querySelectorAll('button.choice').length > 2")
        assert HOSTILE in await page.value("document.querySelector('.item .text').innerText")
        assert HOSTILE in await page.value("document.querySelector('button.choice .label').innerText")
        assert await planted(page) == 0


WORKLOAD_TITLE = f"{examples.definition().title}{HOSTILE}"


def title(path: str) -> str:
    return {"/": "Loop", "/review": "Review"}.get(path, "Candidates")


async def planted(page: Page) -> object:
    """How many elements only the text can have made, and whether it ran."""
    return await page.value(
        "document.querySelectorAll('form, b.planted, img[src=x]').length + (window.planted ? 1000 : 0)"
    )


def told() -> list[Event]:
    """Whatever quotes somebody in the list of events."""
    named, at = "tickets", now()
    return [
        e.RollbackRequested(
            request_id="request-1", workload=named, requested_by=REASON, reason=REASON, requested_at=at
        ),
        e.RunCancelRequested(
            run_id="run-4", workload=named, requested_by=REASON, reason=REASON, requested_at=at
        ),
        e.TrainingFailed(run_id="run-4", workload=named, dataset_id="dataset-3", reason=REASON, failed_at=at),
    ]


def test_markup_has_one_way_into_a_page() -> None:
    """Everything else goes through elements that take text."""
    ways = (
        "ui.html",
        "ui.markdown",
        "ui.add_body_html",
        "ui.interactive_image",
        "innerHTML",
        "|safe",
        "| safe",
    )
    found = {
        (str(file.relative_to(ROOT)), way)
        for suffix in ("py", "html")
        for file in (ROOT / "services").rglob(f"*.{suffix}")
        for way in ways
        if way in file.read_text()
    }
    assert found == {("services/console/pages/frame.py", "ui.html")}
