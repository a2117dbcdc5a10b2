"""An intake in a process of its own, with a broker of its own and tables."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import httpx

from shared.events import Event, record
from shared.kafka import Kafka
from shared.topics import declare, topics_of
from tests.servers.clickhouse import execute
from tests.servers.kafka import EmbeddedKafka
from tests.servers.services import ServiceProcess
from tests.shared.consuming import added, produce


@dataclass
class Installation:
    """An intake with a broker of its own, and tables."""

    kafka: EmbeddedKafka
    clickhouse: str
    process: ServiceProcess

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """Kafka keeps its connections and answers nothing."""
        self.kafka.freeze()
        try:
            yield
        finally:
            self.kafka.thaw()

    def post(self, given: Any, seconds: float = 20, **headers: str) -> httpx.Response:
        url = f"{self.process.url}/predictions"
        return httpx.post(url, json=given, headers=headers, timeout=seconds, trust_env=False)

    def accepted(self, given: Any, **headers: str) -> list[str]:
        """The ids, once it is taken: a client that goes on sending the same."""
        for _ in range(20):
            answer = self.post(given, 20, **headers)
            if answer.status_code == 202:
                return list(answer.json()["ids"])
            assert answer.status_code == 503, answer.text
        raise TimeoutError(self.process.log[-3000:])

    def visible(self, model: str, count: int) -> Counter[str]:
        """How often each prediction of this model shows, once `count` of them do."""
        database, until = self.clickhouse.rpartition("/")[2], time.monotonic() + 60
        query = f"SELECT prediction_id, count() FROM {database}.predictions_v1 WHERE said_model = '{model}'"
        while True:
            said = execute(self.clickhouse, f"{query} GROUP BY 1 FORMAT TSV")
            found = Counter({row.split("\t")[0]: int(row.split("\t")[1]) for row in said.splitlines()})
            if found.total() >= count or time.monotonic() > until:
                return found
            time.sleep(0.1)  # another process: there is nothing to await


@contextmanager
def installed(
    url: str,
    folder: Path,
    state: Sequence[Event] = (added("tickets"),),
    limits: Mapping[str, str] = MappingProxyType({}),
    **settings: str,
) -> Iterator[Installation]:
    """With these state events on Kafka, these LIMIT_…, and these settings of prediction_logging."""
    database = f"test_{uuid4().hex}"
    execute(url, f"CREATE DATABASE {database}")
    broker, clickhouse = EmbeddedKafka(folder / "kafka"), f"{url.rpartition('/')[0]}/{database}"
    broker.start()
    declare(topics_of([type(event) for event in state]), Kafka(broker.address), 1, 30)
    for event in state:
        made = record(event, "workloads")
        produce(broker.address, made.topic, {0: [made.value]})
    environment = {"KAFKA_BOOTSTRAP_SERVERS": broker.address, "CLICKHOUSE_URL": clickhouse, **limits}
    environment |= {f"PREDICTION_LOGGING_{name.upper()}": value for name, value in settings.items()}
    process = ServiceProcess(["prediction_logging"], folder / "intake", environment)
    process.start()
    try:
        process.await_status("/health/ready", 200)
        yield Installation(broker, clickhouse, process)
    finally:
        process.kill()
        broker.kill()
        execute(url, f"DROP DATABASE {database} SYNC")
