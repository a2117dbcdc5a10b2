"""The pages in a real browser, where there is one: they load whole, fit a phone, and obey the keyboard."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from services.console.pages.review import TOO_SOON_SECONDS
from shared.events.envelope import Event
from tests.servers.model import ROOT
from tests.services.console.browser import PATIENCE_SECONDS, Page, browser
from tests.services.console.test_feed import failed, progressed

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium")


class Served:
    """A console in a process of its own, and what it says."""

    def __init__(self, url: str, output: asyncio.StreamReader, input_: asyncio.StreamWriter) -> None:
        self.url = url
        self._output = output
        self._input = input_

    async def consume(self, event: Event) -> None:
        self._input.write(f"{event.topic.name} {event.model_dump_json()}\n".encode())
        await self._input.drain()

    async def next_published(self) -> tuple[str, dict[str, Any]]:
        """The next event: its topic and its payload."""
        line = await asyncio.wait_for(self._output.readline(), PATIENCE_SECONDS)
        topic, _, payload = line.decode().partition(" ")
        return topic, json.loads(payload)


@asynccontextmanager
async def served(stage: str, database_url: str) -> AsyncIterator[Served]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.services.console.serve",
        stage,
        database_url,
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        url = await asyncio.wait_for(process.stdout.readline(), PATIENCE_SECONDS)
        yield Served(url.decode().strip(), process.stdout, process.stdin)
    finally:
        process.stdin.close()
        await process.wait()


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    assert CHROMIUM is not None
    async with browser(CHROMIUM, tmp_path / "profile") as page:
        yield page


HAS_TEXT = "document.body.innerText.includes({!r})"
PAGES = {"/": "Loop", "/review": "Review", "/candidates": "Candidates"}


async def test_every_page_of_an_empty_console_says_what_to_do_first(page: Page, database_url: str) -> None:
    async with served("empty", database_url) as console:
        for path, name in PAGES.items():
            await page.open(console.url + path)
            await page.until(f"document.title.startsWith({name!r})")
            await page.until(HAS_TEXT.format("tuneloop workload add"))


async def test_a_new_workload_shows_that_its_first_round_works(page: Page, database_url: str) -> None:
    async with served("new", database_url) as console:
        await page.open(console.url)
        await page.until(HAS_TEXT.format("Version 1 is being made"))
        await page.open(console.url + "/candidates")
        await page.until(HAS_TEXT.format("No candidate yet"))


async def test_every_page_fits_a_phone(page: Page, database_url: str) -> None:
    async with served("filled", database_url) as console:
        for path, name in PAGES.items():
            await page.open(console.url + path, width=390, height=844)
            await page.until(f"document.title.startsWith({name!r}) && document.readyState === 'complete'")
            assert await page.value("document.documentElement.scrollWidth") <= 390


async def test_nothing_is_loaded_from_elsewhere(page: Page, database_url: str) -> None:
    async with served("filled", database_url) as console:
        await page.open(console.url)
        await page.until("document.querySelector('.chart svg') !== null")
        loaded = await page.value("performance.getEntriesByType('resource').map((one) => one.name)")
        assert [name for name in loaded if not name.startswith((console.url, "data:"))] == []


async def test_what_happens_arrives_by_itself(page: Page, database_url: str) -> None:
    async with served("new", database_url) as console:
        await page.open(console.url)
        await page.until(HAS_TEXT.format("Workload tickets added"))
        await console.consume(progressed(done=23))
        assert await page.until("document.querySelector('progress')?.value") == pytest.approx(23 / 60)
        await page.until(HAS_TEXT.format("23 of 60, loss 0.900"))
        await console.consume(failed())
        await page.until(HAS_TEXT.format("Training failed: out of memory"))
        await page.until("document.querySelector('progress') === null")


async def test_reviews_need_no_mouse(page: Page, database_url: str) -> None:
    async with served("filled", database_url) as console:
        await page.open(console.url + "/review")
        await page.until("document.activeElement.getAttribute('aria-label') === 'Your name'")
        await page.type("ada")
        await page.press("Enter")
        await page.until("document.querySelectorAll('.choice').length === 8")
        await asyncio.sleep(TOO_SOON_SECONDS)  # the time nobody can judge a text in
        await page.press("2")
        await page.press("2")  # pressed twice by mistake: the next item must not take it
        topic, first = await console.next_published()
        assert topic == "review-given-v1"
        assert (first["reviewer"], first["right_answer"]) == ("local/ada", "other")
        await page.until(HAS_TEXT.format("Kept: other."))
        await page.press("u")
        await page.until(HAS_TEXT.format("You said other. Answer again to replace it."))
        await asyncio.sleep(TOO_SOON_SECONDS)
        await page.press("1")
        _, second = await console.next_published()
        assert second["prediction_id"] == first["prediction_id"]
        assert second["review_id"] != first["review_id"]
        await page.until(HAS_TEXT.format(f"Kept: {second['right_answer']}."))
        await page.press("s")
        await page.until(HAS_TEXT.format("1 skipped"))
        await page.open(console.url + "/review")
        await page.until(HAS_TEXT.format("Reviewing as ada"))


async def test_the_policy_keeps_nothing_from_our_pages_and_runs_nothing_of_strangers(
    page: Page, database_url: str
) -> None:
    async with served("filled", database_url) as console:
        await page.watch_policy()
        await page.open(console.url)
        await page.until("document.querySelector('.chart svg') !== null")
        await page.value(
            "[...document.querySelectorAll('button')].find((one) => one.innerText == 'Retire').click()"
        )
        await page.until("document.querySelector('.sheet input') !== null")
        assert await page.value("violations") == []
        await page.open(console.url + "/review")
        await page.until("document.activeElement.getAttribute('aria-label') === 'Your name'")
        await page.type("ada")
        await page.press("Enter")
        await page.until("document.querySelectorAll('.choice').length === 8")
        assert await page.value("violations") == []
        await page.open(console.url + "/candidates")
        await page.until("document.querySelector('main svg') !== null")
        await page.value("document.querySelector('main table a').click()")
        await page.until(HAS_TEXT.format("How it was trained"))
        assert await page.value("violations") == []
        await page.value(
            "document.querySelector('main').innerHTML = "
            '\'<img src=x onerror="window.ran = true"><form action="https://elsewhere.example"></form>\''
        )
        await page.until("violations.length === 1")
        assert await page.value("window.ran") is None
