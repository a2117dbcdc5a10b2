"""Every example of the README's section "Log your predictions" does what it says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from shared.events import ModelPromoted, WorkloadAdded, now
from shared.files import Files
from shared.workload import Workload
from tests.servers.adapters import freeze_trained
from tests.servers.clickhouse import execute
from tests.servers.model import ROOT
from tests.servers.services import ServiceProcess
from tests.services.model_gateway.conftest import NO_FILE, models_url
from tests.services.prediction_logging.installation import Installation, installed

__all__ = ["models_url"]
SECTION = re.search(
    r"^## Log your predictions\n(.*?)^## ", (ROOT / "README.md").read_text("utf-8"), re.M | re.S
)
EXAMPLES: list[tuple[str, str]] = re.findall(
    r"^```(\w+)\n(.*?)^```", SECTION[1] if SECTION else "", re.M | re.S
)
LABELS = {"refund": " A", "card_lost": " B", "address_change": " C"}


class Readme:
    """An installation at the addresses that the README names: with a gateway, its model and the intake."""

    def __init__(self, installation: Installation, gateway: ServiceProcess, folder: Path) -> None:
        self.installation, self._folder = installation, folder
        self._addresses = {
            "127.0.0.1:8080": gateway.url.removeprefix("http://"),
            "127.0.0.1:8081": installation.process.url.removeprefix("http://"),
            "127.0.0.1:9092": installation.kafka.address,
        }

    def run(self, language: str, code: str) -> str:
        """What it prints. Raises AssertionError with what it complains of."""
        for address, own in self._addresses.items():
            code = code.replace(address, own)
        command = {"sh": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}[language]
        done = subprocess.run([*command, code], cwd=self._folder, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def rows(self, query: str) -> list[dict[str, object]]:
        database = self.installation.clickhouse.rpartition("/")[2]
        said = execute(self.installation.clickhouse, f"{query.format(database)} FORMAT JSONEachRow")
        return [json.loads(line) for line in said.splitlines()]


@pytest.fixture(scope="module")
def readme(
    clickhouse_url: str, models_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Readme]:
    folder = tmp_path_factory.mktemp("readme")
    definition = Workload(name="tickets", title="t", prompt="{text}\nIntent:", labels=tuple(LABELS))
    added = WorkloadAdded(revision=1, definition=definition, answers=LABELS, rows=NO_FILE, added_at=now())
    files = Files(f"file://{folder}/files", folder / "cache")
    promoted = ModelPromoted(
        workload="tickets",
        revision=1,
        champion=freeze_trained(files, "tickets-1", 1, added),
        previous=None,
        run_id="run-1",
        promoted_at=now(),
    )
    with installed(clickhouse_url, folder / "installation", [added, promoted]) as installation:
        addresses = {
            "KAFKA_BOOTSTRAP_SERVERS": installation.kafka.address,
            "MODELS_URL": models_url,
            "FILES_URI": f"file://{folder}/files",
        }
        gateway = ServiceProcess(["model_gateway"], folder / "gateway", addresses)
        gateway.start()
        try:
            await_answer(gateway)
            yield Readme(installation, gateway, folder)
        finally:
            gateway.kill()


def await_answer(gateway: ServiceProcess, seconds: float = 120) -> None:
    asked = {"model": "tickets", "messages": [{"role": "user", "content": "My card is gone"}]}
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            answer = httpx.post(f"{gateway.url}/v1/chat/completions", json=asked, timeout=30, trust_env=False)
        except httpx.TransportError:
            answer = None
        if answer is not None and answer.status_code == 200:
            return
        time.sleep(0.2)  # another process: there is nothing to await
    raise TimeoutError(gateway.log[-3000:])


def test_the_section_has_examples_for_shells_python_and_kafka() -> None:
    assert len(EXAMPLES) >= 8
    assert {language for language, _ in EXAMPLES} == {"sh", "python"}
    assert {
        word
        for _, code in EXAMPLES
        for word in ("requests", "httpx", "urllib", "confluent_kafka")
        if word in code
    } == {
        "requests",
        "httpx",
        "urllib",
        "confluent_kafka",
    }


def test_every_example_is_kept_and_feedback_meets_its_prediction(readme: Readme) -> None:
    printed = [readme.run(language, code) for language, code in EXAMPLES]
    for (language, code), said in zip(EXAMPLES, printed, strict=True):
        if language == "sh":
            assert '"ids":[' in said, said
            assert said.count('"ids":[') == code.count("curl ")
    until = time.monotonic() + 60
    theirs = "SELECT prediction_id AS id FROM {}.predictions_v1 WHERE said_model = 'in-house-7'"
    while len(rows := readme.rows(theirs)) < 109 and time.monotonic() < until:
        time.sleep(0.2)  # another process: there is nothing to await
    ids = {str(row["id"]) for row in rows}
    assert len(rows) == len(ids) == 1 + 4 + 2 + 1 + 100 + 1
    assert {"order-7", *(f"order-{number}" for number in range(100, 200))} <= ids
    rated = (
        "SELECT f.prediction_id AS id, p.said_model AS model FROM {0}.feedback_v1 AS f "
        "JOIN {0}.predictions_v1 AS p ON p.prediction_id = f.prediction_id ORDER BY model"
    )
    while len(rows := readme.rows(rated)) < 2 and time.monotonic() < until:
        time.sleep(0.2)  # another process: there is nothing to await
    assert [
        str(row["model"]).startswith(name)
        for row, name in zip(rows, ("in-house-7", "tickets-1"), strict=True)
    ] == [
        True,
        True,
    ]
