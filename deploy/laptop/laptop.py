"""The whole of tuneloop on one machine: starts what the environment does not name, and keeps it running."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from deploy.laptop.children import Place, children
from deploy.laptop.data_folder import ensure_data_folder, saying_the_way_out
from deploy.laptop.errors import LaptopError
from deploy.laptop.folder_lock import FolderInUse, lock_folder
from deploy.laptop.making_base_model import make_base_model
from deploy.laptop.opening import refuse_to_open
from deploy.laptop.placing import place_and_addresses
from deploy.laptop.running import Running, forget_running, keep_running, running
from deploy.laptop.settings import LaptopSettings
from deploy.laptop.supervisor import Child, ChildFailed, OnStep, Supervisor
from shared.addresses import Addresses

__all__ = ["Laptop", "LaptopError", "LaptopSettings", "Running", "running", "start_laptop"]

LEFTOVERS_SECONDS = 20.0


@dataclass(frozen=True)
class Laptop(Running):
    """A running system and the processes it is made of."""

    supervisor: Supervisor
    shown_gateway_url: str
    """By which people reach it; it differs where the laptop is open to other machines."""
    shown_services_url: str

    def pids(self) -> dict[str, int]:
        """Process ids by name (kafka, clickhouse, models, gateway, services) of what runs at this moment."""
        return self.supervisor.pids()

    async def wait(self) -> None:
        """Returns only by being cancelled, as Ctrl-C does."""
        await asyncio.get_running_loop().create_future()


@asynccontextmanager
async def start_laptop(settings: LaptopSettings, on_step: OnStep) -> AsyncIterator[Laptop]:
    """A system that is ready, and stopped in reverse order at the end; also on SIGTERM, as `SystemExit(143)`.

    `on_step` is told a name and what happens to it: at the start, and later when a child died and came back.
    Raises LaptopError, before anything is started if a port is taken or the folder in use or of no use.
    """
    data = settings.data.resolve()
    ensure_data_folder(data)
    if not settings.keys_alone:
        refuse_to_open(settings.outer_host, data, settings.http)
    with _stopping_on_sigterm():
        with saying_the_way_out(data):
            lock, held = await _lock(data)
        with lock, held:
            with saying_the_way_out(data):
                place, where = await place_and_addresses(settings, data, on_step)
            supervisor = Supervisor(data / "logs", held, on_step)
            try:
                await _start(place, children(place, where), supervisor, held, on_step)
                laptop = _laptop(place, where, supervisor)
                keep_running(data, laptop)
                yield laptop
            finally:
                forget_running(data)
                await supervisor.stop()


def _laptop(place: Place, where: Addresses, supervisor: Supervisor) -> Laptop:
    gateway, shown = (
        ("", "") if "gateway" not in place.ports else (place.url("gateway"), place.shown_url("gateway"))
    )
    services = place.url("services")
    return Laptop(where, gateway, services, place.data, supervisor, shown, place.shown_url("services"))


async def _lock(data: Path) -> tuple[TextIO, TextIO]:
    """The folder's lock, and the one its children inherit: it is free when the last run's are gone."""
    try:
        # Not at once: whoever asks with `running` whether it is held, holds it for an instant.
        lock = await asyncio.to_thread(lock_folder, data, patience_seconds=0.3)
    except FolderInUse:
        raise LaptopError(
            f"tuneloop already runs in {data}. Stop it, or choose another folder: tuneloop up --data FOLDER"
        ) from None
    forget_running(data)  # a run that was killed has left its own
    try:
        held = await asyncio.to_thread(lock_folder, data, ".children", patience_seconds=LEFTOVERS_SECONDS)
    except BaseException as error:
        lock.close()
        if isinstance(error, FolderInUse):
            raise LaptopError(
                f"Programs of an earlier run still use {data}: stop them (lsof {data}/.children shows them)"
            ) from None
        raise
    return lock, held


async def _start(
    place: Place, wanted: list[Child], supervisor: Supervisor, held: TextIO, on_step: OnStep
) -> None:
    if "models" in place.ports:  # first: it is what a full disk or a missing package stops
        await make_base_model(place, held, on_step)
    for child in wanted:
        on_step(child.name, "starting")
        since = time.monotonic()
        try:
            await supervisor.start(child)
        except ChildFailed as failure:
            raise LaptopError(f"{child.name} {failure}") from failure
        on_step(child.name, f"ready after {time.monotonic() - since:.1f} s")


@contextmanager
def _stopping_on_sigterm() -> Iterator[None]:
    """SIGTERM cancels the task inside; once that has tidied up, the process ends as after a SIGTERM."""
    loop, task, told = asyncio.get_running_loop(), asyncio.current_task(), asyncio.Event()
    assert task is not None

    def stop() -> None:
        told.set()
        task.cancel()

    loop.add_signal_handler(signal.SIGTERM, stop)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        if told.is_set():
            raise SystemExit(128 + signal.SIGTERM)
