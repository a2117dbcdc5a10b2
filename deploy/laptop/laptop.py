"""The whole of tuneloop on one machine: starts what the environment does not name, and keeps it running."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TextIO

from deploy.laptop.base_model import BaseModelMissing
from deploy.laptop.children import OTHERS, Place, addresses, children, started_here
from deploy.laptop.clickhouse.users import ensure_passwords
from deploy.laptop.data_folder import ensure_data_folder, saying_the_way_out
from deploy.laptop.errors import LaptopError
from deploy.laptop.folder_lock import FolderInUse, lock_folder
from deploy.laptop.log_files import last_line, open_log
from deploy.laptop.model_cache import models_folder
from deploy.laptop.opening import is_beyond_loopback, refuse_to_open
from deploy.laptop.ports import any_free_port, choose_ports, is_taken, keep_ports, kept_ports
from deploy.laptop.running import Running, forget_running, keep_running, running
from deploy.laptop.supervisor import NOTE, SOURCES, Child, ChildFailed, OnStep, Supervisor, dying_with_us
from deploy.laptop.vllm import GPU_SHARE, left_to_the_cpu, vllm_python
from deploy.signing_key import new_private_key, public_part
from shared.addresses import Addresses
from shared.files import ensure_secret, write_atomically
from shared.http_conventions import HttpSettings
from shared.job_launcher import gpus_to_share_out
from shared.kafka import KafkaSecurity
from shared.loopback import NAME

__all__ = ["Laptop", "LaptopError", "LaptopSettings", "Running", "running", "start_laptop"]

LEFTOVERS_SECONDS = 20.0
KEEPER = "workloads"
KEEPS_KEYS = ("kafka", "clickhouse", "services")
"""Which programs do, the last of them with KEEPER alone."""


@dataclass(frozen=True)
class LaptopSettings:
    """Where everything lies and listens. Port 0 is any free one, the same again if it still is free."""

    data: Path = Path(".tuneloop")
    kafka_port: int = 9092
    clickhouse_port: int = 8123
    models_port: int = 8000
    gateway_port: int = 8080
    services_port: int = 8081
    fsync: bool = False
    """Are records acknowledged only when they would survive a power failure?"""
    host: str = ""
    """An address on which other machines reach gateway and services, too."""
    is_plain: bool = False
    """Do they speak plain HTTP there?"""
    keys_alone: bool = False
    """Is nothing started but what keeps keys?"""

    @property
    def outer_host(self) -> str:
        return self.host if is_beyond_loopback(self.host) else ""


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
        refuse_to_open(settings.outer_host, data, _http(settings))
    with _stopping_on_sigterm():
        with saying_the_way_out(data):
            lock, held = await _lock(data)
        with lock, held:
            with saying_the_way_out(data):
                place, where = await _place_and_addresses(settings, data, on_step)
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


def _http(settings: LaptopSettings) -> HttpSettings:
    return HttpSettings(plain=True) if settings.is_plain else HttpSettings()


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


async def _place_and_addresses(
    settings: LaptopSettings, data: Path, on_step: OnStep
) -> tuple[Place, Addresses]:
    ports = _ports(settings, data)
    _embedded_kafka_is_open(ports)
    vllm = vllm_python(os.environ)
    if "models" in ports and (said := left_to_the_cpu(vllm, gpus_to_share_out())):
        on_step(NOTE, said)
    models = await _models_folder(data, ports, on_step)
    http = _http(settings)
    place = Place(
        data,
        models,
        ports,
        settings.fsync,
        vllm,
        os.environ.get(GPU_SHARE, ""),
        settings.outer_host,
        http.plain,
        (http.tls_certificate, http.tls_key),
        [KEEPER] if settings.keys_alone else OTHERS,
    )
    password = ensure_passwords(place.passwords).tuneloop
    subject_key = ensure_secret(place.subject_key, lambda: secrets.token_hex(32))
    session_key = ensure_secret(place.session_key, lambda: secrets.token_hex(32))
    signing_key = ensure_secret(place.signing_key, new_private_key)
    write_atomically(place.public_key, public_part(signing_key).encode())
    return place, addresses(place, os.environ, password, subject_key, session_key)


def _embedded_kafka_is_open(ports: Mapping[str, int]) -> None:
    """Services would go by the settings, and find nobody there who understands them."""
    security = KafkaSecurity()
    if "kafka" in ports and not security.is_open:
        raise LaptopError(
            f"KAFKA_SECURITY_PROTOCOL={security.security_protocol} is set, and KAFKA_BOOTSTRAP_SERVERS names "
            "no cluster: the broker that would be started here speaks PLAINTEXT, on loopback. Name the "
            "cluster, or unset the protocol."
        )


def _ports(settings: LaptopSettings, data: Path) -> dict[str, int]:
    wanted = [one for one in started_here(os.environ) if not settings.keys_alone or one in KEEPS_KEYS]
    asked = {name: int(getattr(settings, f"{name}_port")) for name in wanted}
    taken = partial(is_taken, host=settings.outer_host or NAME)
    chosen = choose_ports(asked, kept_ports(data / "ports.json"), taken, any_free_port)
    keep_ports(data / "ports.json", chosen)
    return chosen


async def _models_folder(data: Path, ports: Mapping[str, int], on_step: OnStep) -> Path:
    if "models" not in ports:
        return data / "models"
    notes: list[str] = []
    try:
        folder = await asyncio.to_thread(models_folder, data, os.environ, notes.append)
    except BaseModelMissing as missing:
        raise LaptopError(f"The base model cannot be made: {missing}") from missing
    for note in notes:
        on_step(NOTE, note)
    return folder


async def _start(
    place: Place, wanted: list[Child], supervisor: Supervisor, held: TextIO, on_step: OnStep
) -> None:
    if "models" in place.ports:  # first: it is what a full disk or a missing package stops
        await _make_base_model(place, held, on_step)
    for child in wanted:
        on_step(child.name, "starting")
        since = time.monotonic()
        try:
            await supervisor.start(child)
        except ChildFailed as failure:
            raise LaptopError(f"{child.name} {failure}") from failure
        on_step(child.name, f"ready after {time.monotonic() - since:.1f} s")


async def _make_base_model(place: Place, held: TextIO, on_step: OnStep) -> None:
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
