"""Whoever takes `localhost` for IPv6's address (curl -6, a browser, a Kafka client) is answered too."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import httpx
import pytest
from confluent_kafka.admin import AdminClient

from deploy.laptop import laptop
from deploy.laptop.children import Place, children
from deploy.laptop.laptop import LaptopSettings, start_laptop
from deploy.laptop.supervisor import Child
from shared.addresses import Addresses
from shared.clickhouse import connect
from shared.loopback import IPV6, loopback_addresses
from tests.laptop.model_server.test_process import start
from tests.servers.model import base_model_folder, free_port

pytestmark = pytest.mark.skipif(IPV6 not in loopback_addresses(), reason="this machine has no IPv6 loopback")


def without_models_and_services(place: Place, where: Addresses) -> list[Child]:
    return [child for child in children(place, where) if child.name in ("kafka", "clickhouse", "gateway")]


def over_ipv6(url: str) -> str:
    return url.replace("127.0.0.1", "[::1]")


async def test_broker_tables_and_gateway_answer_over_ipv6(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "CLICKHOUSE_URL", "FILES_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MODELS_URL", "http://127.0.0.1:1")
    monkeypatch.setattr(laptop, "children", without_models_and_services)
    settings = LaptopSettings(tmp_path / "data", 0, 0, 0, 0, 0)
    async with start_laptop(settings, lambda name, words: None) as system:
        clickhouse = await connect(over_ipv6(system.addresses.clickhouse_url), patience_seconds=5)
        assert await clickhouse.rows("SELECT 1 AS one") == [{"one": 1}]
        await clickhouse.close()
        kafka = AdminClient({"bootstrap.servers": over_ipv6(system.addresses.kafka_bootstrap_servers)})
        assert (await asyncio.to_thread(kafka.list_topics, timeout=10)).brokers
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"{over_ipv6(system.gateway_url)}/v1/models") as answer,
        ):
            assert answer.status == 200


def test_the_model_server_answers_over_ipv6() -> None:
    port = free_port()
    process = start(port, base_model_folder())
    try:
        with httpx.Client(transport=httpx.HTTPTransport(retries=10)) as http:  # retries wait for the port
            assert http.get(f"http://[::1]:{port}/health").status_code == 503  # it loads its model
    finally:
        process.kill()
        process.communicate()
