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
WIDTH = 1200
MOST_BYTES = 300_000
READY = {
    "loop": ("/", 1150, "document.querySelector('.chart svg') !== null"),
    "review": ("/review", 740, "document.querySelectorAll('.choice').length > 1"),
    "candidates": ("/candidates", 720, "document.querySelector('main svg') !== null"),
}
"""Where each picture is taken, how high it is, and what shows once the page is whole."""


async def take(page: Page, url: str, folder: Path) -> None:
    await page.open(f"{url}/review", width=WIDTH)
    await page.until("document.activeElement.getAttribute('aria-label') === 'Your name'")
    await page.type("ada")
    await page.press("Enter")
    for name, (path, height, is_whole) in READY.items():
        for scheme in SCHEMES:
            await page.prefer(scheme)
            await page.open(url + path, width=WIDTH, height=height)
            await page.until(f"document.readyState === 'complete' && {is_whole}")
            await page.until("document.fonts.status === 'loaded'")
            picture = await page.picture()
            assert len(picture) < MOST_BYTES, f"{name}-{scheme} has {len(picture)} bytes"
            (folder / f"{name}-{scheme}.png").write_bytes(picture)


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
