"""Keys of an installation that does not run: what keeps them is started on loopback, and stopped again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TextIO

from deploy.laptop.data_folder import ensure_data_folder, saying_the_way_out
from deploy.laptop.errors import LaptopError
from deploy.laptop.folder_lock import LOCK, FolderInUse, is_locked, lock_folder
from deploy.laptop.laptop import LaptopSettings, start_laptop
from deploy.laptop.running import state_of
from deploy.laptop.supervisor import OnStep
from shared.access.admission import KNOWN_KEYS

DESK = ".key-desk"
PATIENCE_SECONDS, PAUSE_SECONDS = 120.0, 0.1
"""So long one command waits for those before it, which take some ten seconds each."""


@asynccontextmanager
async def key_desk(data: Path, on_step: OnStep, *, anew: bool) -> AsyncIterator[None]:
    """Meanwhile something runs over this folder that makes keys; what runs there already is left alone.

    `anew`: also over a folder where nothing ever ran. Raises LaptopError.
    """
    if not anew and not (data / LOCK).exists():
        yield
        return
    if not is_locked(data):
        ensure_data_folder(data)
    with await _turn(data):
        if not is_locked(data):
            settings = LaptopSettings(
                data=data, kafka_port=0, clickhouse_port=0, models_port=0, gateway_port=0, services_port=0,
                keys_alone=True,
            )  # fmt: skip
            async with start_laptop(settings, on_step):
                _forget_what_others_knew(data)
                yield
            return
    yield


def _forget_what_others_knew(data: Path) -> None:
    """Whoever starts without Kafka would go by it: it is from before the key. What runs here is told."""
    for kept in (data / "state").glob(f"*/{KNOWN_KEYS}"):
        if kept.parent != state_of(data, "services"):
            kept.unlink()


async def _turn(data: Path) -> TextIO:
    """One command after the other. Raises LaptopError."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with saying_the_way_out(data):
                return lock_folder(data, DESK)
        except FolderInUse:
            if time.monotonic() > until:
                raise LaptopError(
                    f"Another command still starts what keeps keys in {data}. Try again when it has ended."
                ) from None
        await asyncio.sleep(PAUSE_SECONDS)
