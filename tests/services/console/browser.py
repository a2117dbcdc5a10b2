"""A real browser for tests: Debian's chromium over its DevTools protocol, with nothing but aiohttp."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run")
DEBUGGING = "--remote-debugging-port=0"  # any free port
PATIENCE_SECONDS = 60.0


class Page:
    """One tab. `until` waits for what a page should show: nothing here sleeps for a guessed time."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)

    async def open(self, url: str, *, width: int = 1280, height: int = 900) -> None:
        await self._do(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        await self._do("Page.navigate", url=url)

    async def watch_policy(self) -> None:
        """From the next page on `window.violations` lists what its content security policy kept from it."""
        watch = (
            "window.violations = []; document.addEventListener('securitypolicyviolation', (event) => "
            "violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`))"
        )
        await self._do("Page.enable")
        await self._do("Page.addScriptToEvaluateOnNewDocument", source=watch)

    async def prefer(self, scheme: str) -> None:
        """Shows pages as to a person who prefers "light" or "dark"."""
        await self._do(
            "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
        )

    async def picture(self) -> bytes:
        """What shows now, as a PNG."""
        answer = await self._do("Page.captureScreenshot", format="png")
        return base64.b64decode(answer["data"])

    async def type(self, text: str) -> None:
        await self._do("Input.insertText", text=text)

    async def press(self, key: str) -> None:
        """A key as a person presses it: "Enter", or one character."""
        code = "\r" if key == "Enter" else key
        await self._do(
            "Input.dispatchKeyEvent", type="keyDown", key=key, text=code, windowsVirtualKeyCode=ord(code)
        )
        await self._do("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=ord(code))

    async def value(self, javascript: str) -> Any:
        answer = await self._do("Runtime.evaluate", expression=javascript, returnByValue=True)
        return answer["result"].get("value")

    async def until(self, javascript: str) -> Any:
        """What the expression gives, as soon as it gives something. Raises TimeoutError with what shows."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not (value := await self.value(javascript)):
                    await asyncio.sleep(0.05)  # the page changes on its own; there is no event to await
                return value
        except TimeoutError:
            shown = await self.value("document.body.innerText")
            raise TimeoutError(f"never true: {javascript}\nthe page shows: {shown}") from None

    async def _do(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            answer = json.loads((await self._socket.receive(PATIENCE_SECONDS)).data)
            if answer.get("id") == number:
                return answer["result"]


@asynccontextmanager
async def browser(program: str, folder: Path) -> AsyncIterator[Page]:
    """A tab of a fresh browser that keeps its profile in `folder` and is gone at the end."""
    process = await asyncio.create_subprocess_exec(
        program,
        *FLAGS,
        DEBUGGING,
        f"--user-data-dir={folder}",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stderr is not None
        port = await _port(process.stderr)
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                tabs = [tab for tab in await answer.json() if tab["type"] == "page"]
            async with session.ws_connect(tabs[0]["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                yield Page(socket)
    finally:
        process.terminate()
        await process.wait()


async def _port(errors: asyncio.StreamReader) -> int:
    """Chromium says it as "DevTools listening on ws://127.0.0.1:PORT/…"."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        async for line in errors:
            if b"DevTools listening on ws://" in line:
                return int(line.split(b":")[-1].split(b"/")[0])
    raise RuntimeError("chromium ended before it listened")
