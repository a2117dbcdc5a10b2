"""A data folder may be called anything that ClickHouse takes: everything lands in it and is found again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest
from confluent_kafka import Consumer, Producer

from deploy.laptop import laptop
from deploy.laptop.children import Place, addresses, children
from deploy.laptop.laptop import LaptopSettings, start_laptop
from deploy.laptop.supervisor import Child
from shared.addresses import Addresses
from shared.clickhouse import connect
from shared.events import PredictionLogged
from shared.files import Files
from shared.kafka import Kafka
from shared.topics import declare, topics_of

ODD = "a b%20#ü?\"'&<x>%Y;{y}[1]*$HOME"
TOPIC = PredictionLogged.topic.name


def all_but_services(place: Place, where: Addresses) -> list[Child]:
    return [child for child in children(place, where) if child.name != "services"]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LaptopSettings:
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "CLICKHOUSE_URL", "FILES_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MODELS_URL", "http://127.0.0.1:1")
    monkeypatch.setattr(laptop, "children", all_but_services)
    return LaptopSettings(tmp_path / ODD, 0, 0, 0, 0, 0)


def ignore(name: str, words: str) -> None:
    """Nobody watches."""


async def test_what_is_written_lies_in_the_folder_and_is_there_after_a_restart(
    settings: LaptopSettings,
) -> None:
    async with start_laptop(settings, ignore) as system:
        clickhouse = await connect(system.addresses.clickhouse_url, patience_seconds=10)
        await clickhouse.command("CREATE TABLE notes (id String) ENGINE = MergeTree ORDER BY id")
        await clickhouse.insert("notes", [{"id": "kept"}])
        await clickhouse.close()
        await asyncio.to_thread(produce, system.addresses.kafka_bootstrap_servers)
        frozen = files_of(system.addresses).freeze_rows("notes", [{"id": "kept"}])
    async with start_laptop(settings, ignore) as again:
        clickhouse = await connect(again.addresses.clickhouse_url, patience_seconds=10)
        assert await clickhouse.rows("SELECT id FROM notes") == [{"id": "kept"}]
        await clickhouse.close()
        assert await asyncio.to_thread(consume, again.addresses.kafka_bootstrap_servers) == b"kept"
        assert list(files_of(again.addresses).rows(frozen)) == [{"id": "kept"}]
        async with aiohttp.ClientSession() as http, http.get(f"{again.gateway_url}/v1/models") as answer:
            assert answer.status == 200
    assert [path.name for path in settings.data.parent.iterdir()] == [ODD]
    assert len(list((settings.data / "files").rglob("*.jsonl"))) == 1
    logs = {path.name for path in (settings.data / "logs").iterdir()}
    assert logs == {"kafka.log", "clickhouse.log", "gateway.log"}
    assert (settings.data / "clickhouse" / "server.log").exists()
    assert (settings.data / "state" / "gateway" / "model_gateway").is_dir()


def test_an_adapter_is_kept_in_the_folder_and_found_again(tmp_path: Path) -> None:
    data = tmp_path / ODD
    trained = data / "state" / "services" / "retraining" / "adapter"
    trained.mkdir(parents=True)
    (trained / "adapter_config.json").write_text("{}")
    place = Place(
        data, data / "models", {"kafka": 1, "clickhouse": 2, "models": 3, "gateway": 4, "services": 5}
    )
    files = files_of(addresses(place, {}, "pw", "key", "session"))
    folder = files.adapter_folder(files.freeze_adapter("tickets", trained, "base"))
    assert folder.is_relative_to(data / "files")
    assert [path.name for path in folder.iterdir()] == ["adapter_config.json"]


def files_of(where: Addresses) -> Files:
    return Files(where.files_uri, where.state_folder / "cache")


def produce(bootstrap_servers: str) -> None:
    declare(topics_of([PredictionLogged]), Kafka(bootstrap_servers), 1, 30)
    producer = Producer({"bootstrap.servers": bootstrap_servers})
    producer.produce(TOPIC, b"kept")
    assert producer.flush(20) == 0


def consume(bootstrap_servers: str) -> bytes | None:
    consumer = Consumer(
        {"bootstrap.servers": bootstrap_servers, "group.id": "g", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([TOPIC])
    record = consumer.poll(20)
    consumer.close()
    return None if record is None else record.value()
