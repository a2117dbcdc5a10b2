"""What others than this machine's own programs can do to the broker of a laptop, which knows no users."""

from __future__ import annotations

import ipaddress
import socket
import subprocess
import sys
import tempfile
from itertools import repeat

import psutil
from confluent_kafka.admin import AdminClient
from kafka.protocol.admin import CreateTopicsRequest

from shared.kafka import Kafka
from tests.attacks.asking import sent_in_pieces
from tests.attacks.attack import attack
from tests.attacks.target import Target
from tests.servers.model import ROOT

START_SECONDS = 10.0
PIECE = bytes(1 << 20)
PLANTED = "planted-by-a-page"


@attack
def the_broker_is_told_to_listen_to_the_network(target: Target) -> str:
    """Somebody opens it by an option, and everybody on the network may write ModelPromoted."""
    if not _listens_on("127.0.0.1"):
        return "it does not listen on loopback either, so nothing is proved"
    hosts = ("0.0.0.0", "::", "", "0", socket.gethostname(), "::ffff:0.0.0.0", *_own_addresses())
    return "; ".join(f"it listens on {host!r}" for host in hosts if _listens_on(host))


@attack
def another_machine_reaches_the_broker(target: Target) -> str:
    """The port of the running broker, at each address by which others reach this machine."""
    port = _port(target)
    return "; ".join(f"it answers at {one}:{port}" for one in _own_addresses() if _connects(one, port))


@attack
def a_foreign_page_posts_records_to_the_broker(target: Target) -> str:
    """A page may POST to any port of this machine: the body holds requests of Kafka's protocol."""
    topic = CreateTopicsRequest.CreatableTopic(
        name=PLANTED, num_partitions=1, replication_factor=1, assignments=[], configs=[]
    )
    asks = CreateTopicsRequest(topics=[topic], timeout_ms=1000, validate_only=False, version=2)
    asks.with_header(correlation_id=1, client_id="page")
    body = asks.encode(header=True, framed=True)
    head = f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{_port(target)}\r\nContent-Type: text/plain\r\n\r\n"
    sent_in_pieces(f"http://{target.kafka}", head, repeat(body, 10))
    topics = AdminClient(Kafka(target.kafka).client("attacker")).list_topics(timeout=10).topics
    return f"it made the topic {PLANTED}" if PLANTED in topics else ""


@attack
def a_request_without_end_fills_the_brokers_memory(target: Target) -> str:
    """It says that it is 2 GB long, and goes on for as long as it is listened to."""
    processes = target.process.children(recursive=True)
    broker = next(one for one in processes if str(_port(target)) in one.cmdline())
    before = broker.memory_info().rss
    sent = sent_in_pieces(f"http://{target.kafka}", "\x7f\x7f\x7f\x7f", repeat(PIECE, 300))
    grown = broker.memory_info().rss - before
    return f"it took {sent.sent_bytes >> 20} MB and grew by {grown >> 20} MB" if grown > 64 << 20 else ""


def _listens_on(host: str) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "deploy.laptop.kafka", "--host", host, "--port", "0"]
        started = subprocess.Popen(
            [*command, "--data", folder], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            return started.wait(START_SECONDS) == 0
        except subprocess.TimeoutExpired:
            return True
        finally:
            started.kill()
            started.wait()


def _own_addresses() -> list[str]:
    """By which others reach this machine."""
    found = [one.address for of in psutil.net_if_addrs().values() for one in of if one.family in _IP]
    return [one for one in found if "%" not in one and not ipaddress.ip_address(one).is_loopback]


def _connects(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=5).close()
    except OSError:
        return False
    return True


def _port(target: Target) -> int:
    return int(target.kafka.rpartition(":")[2])


_IP = (socket.AF_INET, socket.AF_INET6)
