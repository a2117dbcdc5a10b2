"""Brokers for tests, each in a process of its own: the embedded one, and Apache Kafka from its jars."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from shared.kafka import OPEN, Kafka, KafkaSecurity

_READY = "ready on "
_APACHE_READY_SECONDS = 60


@dataclass
class EmbeddedKafka:
    """The embedded broker over `folder`; started again after `kill`, it keeps its port."""

    folder: Path
    port: int = 0
    arguments: Sequence[str] = ()
    _process: subprocess.Popen[str] | None = field(default=None, init=False)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.folder / "broker.log").read_text()

    @property
    def is_running(self) -> bool:
        return self._process is not None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, *wrapper: str) -> None:
        """Returns when it is ready; `wrapper` is put before the command (a limit, a tracer)."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "deploy.laptop.kafka", "--stop-with-stdin"]
        command += ["--port", str(self.port), "--data", str(self.folder / "data"), *self.arguments]
        with (self.folder / "broker.log").open("a") as log:
            self._process = subprocess.Popen(
                [*wrapper, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self._process.stdout is not None
        said = self._process.stdout.readline()  # empty if it ended
        assert _READY in said, self.log
        self.port = int(said.split(_READY)[1].split(",")[0].rpartition(":")[2])

    def send(self, number: signal.Signals) -> None:
        """SIGSTOP and SIGCONT: it stands still, and its connections stay."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """As `kill -9`."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """As a supervisor would; returns the exit status."""
        return self._end(signal.SIGTERM)

    def freeze(self) -> None:
        """It takes connections and answers nothing, until `thaw`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _end(self, by: signal.Signals) -> int:
        process, self._process = self._process, None
        assert process is not None
        process.send_signal(by)
        process.communicate(timeout=20)
        return process.returncode


@contextmanager
def embedded_kafka(folder: Path) -> Iterator[str]:
    """The bootstrap address of an embedded broker that keeps its data and its log in `folder`."""
    broker = EmbeddedKafka(folder)
    broker.start()
    try:
        yield broker.address
    finally:
        broker.stop()


@dataclass
class ApacheKafka:
    """One Apache Kafka node (KRaft) over `folder`; `home` holds its jars or `libs/`. It keeps its port.

    `properties` are laid over what it is usually started with; `{port}` and `{controller}` in them are its.
    """

    home: Path
    folder: Path
    properties: Mapping[str, str] = field(default_factory=dict)
    port: int = 0
    scram: Mapping[str, str] = field(default_factory=dict)
    """Users that are there from the start, with their passwords."""
    security: KafkaSecurity = OPEN
    """How it is asked whether it is ready."""
    _process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / "broker.log"

    @property
    def is_running(self) -> bool:
        return self._process is not None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Returns when it is ready."""
        settings = self.folder / "server.properties"
        if not settings.exists():
            self._format(settings)
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                [*self._java(), "kafka.Kafka", str(settings)], stdout=log, stderr=log
            )
        _await_metadata(Kafka(self.address, self.security), self._process, self.log)

    def kill(self) -> None:
        """As `kill -9`, which is also how it is stopped: it takes long to leave by itself."""
        process, self._process = self._process, None
        assert process is not None
        process.kill()
        process.wait(20)

    stop = kill

    def _format(self, settings: Path) -> None:
        self.port, controller_port = _free_ports(2)
        self.folder.mkdir(parents=True, exist_ok=True)
        own = "".join(f"{name}={value}\n" for name, value in self.properties.items())
        settings.write_text(
            (_PROPERTIES + own).format(port=self.port, controller=controller_port, folder=self.folder)
        )
        storage = [*self._java(), "kafka.tools.StorageTool"]
        made = subprocess.run([*storage, "random-uuid"], check=True, capture_output=True, text=True)
        cluster = made.stdout.split()[-1]
        users = [
            f"--add-scram=SCRAM-SHA-512=[name={name},password={password}]"
            for name, password in self.scram.items()
        ]
        subprocess.run(
            [*storage, "format", "--standalone", "-t", cluster, "-c", str(settings), *users],
            check=True,
            capture_output=True,
        )

    def _java(self) -> list[str]:
        jars = self.home / "libs" if (self.home / "libs").is_dir() else self.home
        return ["java", "-Xmx512m", "-cp", f"{jars}/*"]


@contextmanager
def apache_kafka(home: Path, folder: Path, properties: Mapping[str, str] | None = None) -> Iterator[str]:
    """The bootstrap address of one Apache Kafka node (KRaft); `home` holds its jars or `libs/`."""
    broker = ApacheKafka(home, folder, properties or {})
    try:
        broker.start()
        yield broker.address
    finally:
        if broker.is_running:
            broker.stop()


def _await_metadata(kafka: Kafka, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """An open port is not enough: the node is ready when it answers a metadata request."""
    until = time.monotonic() + _APACHE_READY_SECONDS
    admin = AdminClient({**kafka.client("tests"), "log_level": 0})
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()[-2000:]
        try:
            if admin.list_topics(timeout=2).brokers:
                return
        except KafkaException:
            continue  # the call itself has waited
    raise TimeoutError(f"Apache Kafka gave no metadata within {_APACHE_READY_SECONDS} s; see {log}")


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={folder}/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.retention.check.interval.ms=1000
log.initial.task.delay.ms=1000
"""
