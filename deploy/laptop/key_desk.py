"""Keys of an installation that does not run: what keeps them is started on loopback, and stopped again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from deploy.laptop.folder_lock import is_locked
from deploy.laptop.laptop import LaptopSettings, start_laptop
from deploy.laptop.supervisor import OnStep
from shared.access.admission import KNOWN_KEYS


@asynccontextmanager
async def key_desk(data: Path, on_step: OnStep) -> AsyncIterator[None]:
    """Meanwhile something runs over this folder that makes keys; what runs there already is left alone.

    Raises LaptopError.
    """
    if is_locked(data):
        yield
        return
    for kept in (data / "state").glob(f"*/{KNOWN_KEYS}"):
        kept.unlink()  # from before the key: whoever starts without Kafka would go by it
    settings = LaptopSettings(
        data=data, kafka_port=0, clickhouse_port=0, models_port=0, gateway_port=0, services_port=0,
        keys_alone=True,
    )  # fmt: skip
    async with start_laptop(settings, on_step):
        yield
