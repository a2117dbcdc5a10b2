"""Makes the base model in a process of its own, whose memory comes back, and tells how far it is."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TextIO

from deploy.laptop.children import Place
from deploy.laptop.errors import LaptopError
from deploy.laptop.log_files import last_line, open_log
from deploy.laptop.supervisor import SOURCES, OnStep, dying_with_us


async def make_base_model(place: Place, held: TextIO, on_step: OnStep) -> None:
    """Its child keeps the lock `held`, and dies with us. Raises LaptopError with what it said last."""
    log_file, since = place.data / "logs" / "base-model.log", time.monotonic()
    with open_log(log_file) as log:
        making = await asyncio.create_subprocess_exec(
            *dying_with_us([sys.executable, "-m", "deploy.laptop.base_model", str(place.models)]),
            cwd=SOURCES,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            pass_fds=(held.fileno(),),
            start_new_session=True,
        )
    try:
        assert making.stdout is not None
        async for line in making.stdout:
            on_step("base model", line.decode().strip())
        failed = await making.wait() != 0
    finally:
        if making.returncode is None:
            making.kill()
            await making.wait()
    if failed:
        said = last_line(log_file) or "it was killed, perhaps for want of memory: it takes 2 GB"
        raise LaptopError(f"The base model cannot be made: {said}")
    on_step("base model", f"ready after {time.monotonic() - since:.1f} s")
