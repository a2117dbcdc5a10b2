"""Broker, ClickHouse and services as processes, each of which may be killed and started again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import psutil
from confluent_kafka import Producer

from shared.events import Event, FrozenAdapter, FrozenFile, ModelPromoted, WorkloadAdded, record
from shared.kafka import Kafka
from shared.topics import declare, topics_of
from shared.workload import Review, Workload
from tests.servers.clickhouse import start_clickhouse, wait_until_ready
from tests.servers.kafka import ApacheKafka, EmbeddedKafka
from tests.servers.model import MODEL, ROOT, base_model_folder, free_port

READY_SECONDS = 60.0
STOP_SECONDS = 30.0
LABELS = ("refund", "order", "delivery")
DOUBT_BELOW = 0.5


class Killable(Protocol):
    """A process of the installation."""

    def start(self) -> None: ...
    def kill(self) -> None: ...
    @property
    def pid(self) -> int: ...
    @property
    def is_running(self) -> bool: ...


@dataclass
class ClickHouseProcess:
    """The laptop's ClickHouse over `folder`; it keeps its port."""

    folder: Path
    port: int = 0
    url: str = ""
    """With user and password, once it has run."""
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        """Returns when it takes queries."""
        self.port = self.port or free_port()
        self._process = start_clickhouse(self.folder, self.port)
        self.url = wait_until_ready(self._process, self.folder, self.port)

    def kill(self) -> None:
        """As `kill -9`."""
        _kill(self._process)
        self._process = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None


@dataclass
class ServiceProcess:
    """`python -m services NAME`; it keeps its port, its state folder and its log."""

    name: str
    folder: Path
    environment: Mapping[str, str]
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def start(self) -> None:
        """Returns at once: it may have to wait for others. See `wait_until_ready`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "services", self.name, "--port", str(self.port)],
                cwd=ROOT,
                env={**os.environ, **self.environment, "STATE_FOLDER": str(self.folder / "state")},
                stdout=log,
                stderr=log,
            )

    def wait_until_ready(self, seconds: float = READY_SECONDS) -> None:
        """Raises TimeoutError with the end of its log."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            assert self._process is not None
            if self._process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"{self.url}/health/ready", timeout=5):
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.1)  # another process: there is nothing to await
        raise TimeoutError(f"{self.name} is not ready:\n{self.log.read_text()[-3000:]}")

    def kill(self) -> None:
        """As `kill -9`."""
        _kill(self._process)
        self._process = None

    def stop(self) -> None:
        """As a supervisor does: SIGTERM, and time to come to an end. Raises TimeoutExpired if it does not."""
        process, self._process = self._process, None
        assert process is not None
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_SECONDS)
            raise

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None


@dataclass
class ModelServerProcess:
    """The laptop's model server on the real base model; it keeps its port. It takes some seconds to load."""

    folder: Path
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Returns at once."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "deploy.laptop.model_server", "--port", str(self.port)]
        command += ["--model", str(base_model_folder()), "--served-model-name", MODEL]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)

    def kill(self) -> None:
        """As `kill -9`."""
        _kill(self._process)
        self._process = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None


def _kill(process: subprocess.Popen[bytes] | None) -> None:
    assert process is not None
    process.kill()
    process.wait(20)
    if process.stdin is not None:
        process.stdin.close()


@contextmanager
def killed_at_the_end(*processes: Killable) -> Iterator[None]:
    """Whatever of them runs when the block ends is killed, the last one first."""
    with ExitStack() as ending:
        for process in processes:
            ending.callback(_kill_if_running, process)
        yield


def _kill_if_running(process: Killable) -> None:
    if process.is_running:
        process.kill()


def broker_over(folder: Path, kind: str) -> EmbeddedKafka | ApacheKafka:
    """The embedded broker, or Apache Kafka from KAFKA_HOME's jars."""
    if kind == "embedded":
        return EmbeddedKafka(folder)
    home = os.environ.get("KAFKA_HOME")
    if not home:
        raise SystemExit("--broker apache needs KAFKA_HOME: a folder of Apache Kafka's jars.")
    return ApacheKafka(Path(home), folder)


def environment(
    folder: Path, kafka: str, clickhouse_url: str, models_url: str = "http://127.0.0.1:9"
) -> dict[str, str]:
    """The addresses that services read."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "CLICKHOUSE_URL": clickhouse_url,
        "MODELS_URL": models_url,
        "FILES_URI": files_uri(folder),
        "SUBJECT_KEY": "bench",
        "PYTHONPATH": str(ROOT),
    }


def files_uri(folder: Path) -> str:
    return f"file://{folder}/files"


def add_workload(kafka: str, *names: str) -> None:
    """Says on Kafka that these workloads exist, as `workloads` does."""
    _say(kafka, *map(workload_added, names))


def promote(kafka: str, workload: str, adapter: FrozenAdapter) -> None:
    """Says on Kafka which adapter answers, as `shadow_deployment` does."""
    promoted = ModelPromoted(
        workload=workload,
        revision=1,
        champion=adapter,
        previous=None,
        run_id="bench",
        promoted_at=datetime.now(UTC),
    )
    _say(kafka, promoted)


def _say(kafka: str, *events: Event) -> None:
    declare(topics_of({type(event) for event in events}), Kafka(kafka), 1, READY_SECONDS)
    producer = Producer({"bootstrap.servers": kafka, "acks": "all"})
    for event in events:
        made = record(event, "bench")
        producer.produce(made.topic, made.value, made.key, headers=dict(made.headers))
    assert producer.flush(READY_SECONDS) == 0


def workload_added(name: str) -> WorkloadAdded:
    return WorkloadAdded(
        revision=1,
        definition=Workload(
            name=name,
            title="What is this about?",
            prompt="{text}",
            labels=LABELS,
            review=Review(doubt_below=DOUBT_BELOW, audit_share=0),
        ),
        answers={label: f" {label}" for label in LABELS},
        rows=FrozenFile(uri="none", digest="sha256:" + "0" * 64, rows=0),
        added_at=datetime.now(UTC),
    )


def asked(url: str, sql: str, seconds: float = 120) -> str:
    """The text of an answer in the database that the URL names. Raises HTTPError when refused."""
    parts = urlsplit(url)
    login = f"{parts.username or 'default'}:{parts.password or ''}"
    headers = {
        "Authorization": f"Basic {b64encode(login.encode()).decode()}",
        "X-ClickHouse-Database": parts.path.strip("/"),
    }
    server = f"{parts.scheme}://{parts.hostname}:{parts.port}/"
    with urllib.request.urlopen(
        urllib.request.Request(server, sql.encode(), headers), timeout=seconds
    ) as answer:
        return str(answer.read().decode())


def cpu_seconds(process: Killable) -> float:
    """CPU time so far of a process and its children."""
    root = psutil.Process(process.pid)
    used = 0.0
    for one in (root, *root.children(recursive=True)):
        times = one.cpu_times()
        used += times.user + times.system
    return used
