"""Takes the README's pictures of the console on example data: `make pictures`."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from tests.servers.clickhouse import embedded_clickhouse
from tests.servers.model import ROOT
from tests.services.console.browser import Page, browser
from tests.services.console.test_browser import CHROMIUM, served

PICTURES = ROOT / "docs" / "pictures"
SCHEMES = ("light", "dark")
NAMES = ("loop", "review", "candidates")
WIDTH = 1200
MOST_BYTES = 300_000
REVIEW_HEIGHT, A_CHOICE = 740, "document.querySelectorAll('.choice').length > 1"
PAGES = {
    "loop": ("/", 1150, "document.querySelector('.chart svg') !== null"),
    "candidates": ("/candidates", 720, "document.querySelector('main svg') !== null"),
}
"""Where each picture is taken, how high it is, and what shows once the page is whole."""


async def take(page: Page, url: str, folder: Path) -> None:
    # The first item is the one to show, a blind pair, and opening the page again would give the next.
    await page.open(f"{url}/review", width=WIDTH, height=REVIEW_HEIGHT)
    await page.until("document.activeElement.getAttribute('aria-label') === 'Your name'")
    await page.type("ada")
    await page.press("Enter")
    for scheme in SCHEMES:
        await page.prefer(scheme)
        keep(folder / f"review-{scheme}.png", await whole(page, A_CHOICE))
    for name, (path, height, is_whole) in PAGES.items():
        for scheme in SCHEMES:
            await page.prefer(scheme)
            await page.open(url + path, width=WIDTH, height=height)
            keep(folder / f"{name}-{scheme}.png", await whole(page, is_whole))


async def whole(page: Page, is_whole: str) -> bytes:
    """What the page shows once it is whole."""
    await page.until(f"document.readyState === 'complete' && {is_whole}")
    await page.until("document.fonts.status === 'loaded'")
    return await page.picture()


def keep(file: Path, picture: bytes) -> None:
    assert len(picture) < MOST_BYTES, f"{file.name} has {len(picture)} bytes"
    file.write_bytes(picture)


async def main() -> int:
    if CHROMIUM is None:
        print("No chromium here: apt-get install chromium", file=sys.stderr)
        return 1
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        with embedded_clickhouse(scratch / "clickhouse") as clickhouse_url:
            async with served("filled", clickhouse_url) as console, browser(CHROMIUM, scratch / "b") as page:
                await take(page, console.url, PICTURES)
    print(f"Written: {', '.join(sorted(path.name for path in PICTURES.glob('*.png')))}.")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
