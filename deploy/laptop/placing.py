"""Decides what is started here, on which ports, with which secrets, and where it finds the rest."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from deploy.laptop.base_model import BaseModelMissing
from deploy.laptop.children import OTHERS, Place, addresses, started_here
from deploy.laptop.clickhouse.users import ensure_passwords
from deploy.laptop.errors import LaptopError
from deploy.laptop.model_cache import models_folder
from deploy.laptop.ports import any_free_port, choose_ports, is_taken, keep_ports, kept_ports
from deploy.laptop.settings import LaptopSettings
from deploy.laptop.supervisor import NOTE, OnStep
from deploy.laptop.vllm import GPU_SHARE, left_to_the_cpu, vllm_python
from deploy.signing_key import new_private_key, public_part
from shared.addresses import Addresses
from shared.files import ensure_secret, write_atomically
from shared.job_launcher import gpus_to_share_out
from shared.kafka import KafkaSecurity
from shared.loopback import NAME

KEEPER = "workloads"
KEEPS_KEYS = ("kafka", "clickhouse", "services")
"""Which programs do, the last of them with KEEPER alone."""


async def place_and_addresses(
    settings: LaptopSettings, data: Path, on_step: OnStep
) -> tuple[Place, Addresses]:
    """With the secrets that lie there, made where there are none yet. Raises LaptopError."""
    ports = _ports(settings, data)
    _embedded_kafka_is_open(ports)
    vllm = vllm_python(os.environ)
    if "models" in ports and (said := left_to_the_cpu(vllm, gpus_to_share_out())):
        on_step(NOTE, said)
    models = await _models_folder(data, ports, on_step)
    http = settings.http
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
