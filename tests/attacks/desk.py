"""A workload that is attacked: it is known to every service, and nothing is ever trained for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpx
from confluent_kafka import Producer

from shared.events import Event, FrozenFile, WorkloadAdded, now, record
from shared.kafka import Kafka
from shared.workload import Workload
from tests.attacks.asking import asked
from tests.attacks.target import Target

CHAMPION = "the-champion"
RIGHT, WRONG = "yes", "no"
KNOWN_SECONDS, SEEN_SECONDS = 30.0, 15.0


@dataclass(frozen=True)
class Desk:
    target: Target
    name: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Whose requests these are, where keys are on."""

    def post(self, path: str, body: object, **more: str) -> httpx.Response:
        return asked("POST", self.target.services + path, headers={**self.headers, **more}, json=body)

    def log(self, *prediction_ids: str, confidence: float = 0.1) -> None:
        """As an app does that names the champion as its own model. In doubt, they go to review."""
        body = [self.prediction(one, confidence) for one in prediction_ids]
        answer = self.post("/predictions", body)
        if answer.status_code != 202:
            raise RuntimeError(f"the intake takes nothing: {answer.status_code} {answer.text[:300]}")
        self.awaited("predictions_v1", prediction_ids)

    def prediction(self, prediction_id: str, confidence: float) -> dict[str, Any]:
        return {
            "prediction_id": prediction_id,
            "workload": self.name,
            "input": f"text of {prediction_id}",
            "answer": RIGHT,
            "confidence": confidence,
            "adapter": CHAMPION,
        }

    def queued(self, *prediction_ids: str) -> None:
        """Logged, and in the queue for review."""
        self.log(*prediction_ids)
        self.awaited("review_items_v1", prediction_ids)

    def reviews(self, prediction_id: str, reviewer: str, answer: str, **more: str) -> None:
        """Without a name: as whoever has the key. Raises RuntimeError where it is not taken."""
        said = {"prediction_id": prediction_id, "workload": self.name, "right_answer": answer}
        given = self.post("/reviews", said | ({"reviewer": reviewer} if reviewer else {}) | more)
        if given.status_code != 202:
            raise RuntimeError(f"the review is not taken: {given.status_code} {given.text[:300]}")

    def publish(self, *events: Event) -> None:
        """As the services do among themselves."""
        producer = Producer(Kafka(self.target.kafka).client("attacker"))
        for one in (record(event, "attacker") for event in events):
            producer.produce(one.topic, one.value, one.key, headers=list(one.headers.items()))
        producer.flush(SEEN_SECONDS)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """What the tables say of this workload, as the installation itself asks them."""
        parts = urlsplit(self.target.clickhouse)
        login = httpx.BasicAuth(parts.username or "", parts.password or "")
        asks = {"database": parts.path.strip("/"), "default_format": "JSON", "param_name": self.name}
        url = f"http://{parts.hostname}:{parts.port}/"
        answer = asked("POST", url, params=asks, auth=login, content=sql)
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()["data"]
        return found

    def count(self, view: str, condition: str = "true") -> int:
        sql = f"SELECT count() AS n FROM {view} WHERE workload = {{name:String}} AND {condition}"
        return int(self.rows(sql)[0]["n"])

    def awaited(self, view: str, prediction_ids: Sequence[str]) -> None:
        """Raises RuntimeError: what is not there cannot be attacked."""
        condition = f"prediction_id IN ({', '.join(map(repr, prediction_ids))})"
        if not within(KNOWN_SECONDS, lambda: self.count(view, condition) >= len(prediction_ids)):
            raise RuntimeError(f"{view} never had what was logged for {self.name}")


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    """Whether it comes to hold in so long. Other processes bring it about: there is nothing to await."""
    until = time.monotonic() + seconds
    while not (held := holds()) and time.monotonic() < until:
        time.sleep(0.2)
    return held


def numbered(prefix: str, count: int) -> list[str]:
    return [f"{prefix}-{number}" for number in range(count)]


def first(names: Iterable[str], wanted: Callable[[str], bool], count: int) -> list[str]:
    found = (name for name in names if wanted(name))
    return [next(found) for _ in range(count)]


@contextmanager
def desk(target: Target, name: str, headers: Mapping[str, str] | None = None) -> Iterator[Desk]:
    """One that no other attack touches, retired at the end."""
    definition = Workload(name=name, title="Desk", prompt="{text}\nAnswer:", labels=(RIGHT, WRONG))
    nothing = FrozenFile(uri="file:///nowhere", digest="sha256:" + "0" * 64, rows=0)
    answers = {label: f" {label}" for label in definition.labels}
    added = WorkloadAdded(revision=1, definition=definition, answers=answers, rows=nothing, added_at=now())
    one = Desk(target, name, headers or {})
    one.publish(added)
    known = ("/predictions", {"prediction_id": "known"}), ("/reviews", {"right_answer": "known"})
    for path, wrong in known:
        if not within(KNOWN_SECONDS, partial(_knows, one, path, wrong)):
            raise RuntimeError(f"{path} never knew the workload {name}")
    try:
        yield one
    finally:
        one.publish(added.model_copy(update={"revision": 2, "retired_at": now()}))


def _knows(one: Desk, path: str, wrong: Mapping[str, str]) -> bool:
    """By how it refuses what is wrong: of an unknown workload it says 404, or names the workload."""
    body = one.prediction("known", 2.0) if path == "/predictions" else one.prediction("known", 0.5)
    if path == "/reviews":
        body = {"prediction_id": "known", "workload": one.name, "reviewer": "known", **wrong}
    answer = one.post(path, body)
    return answer.status_code == 422 and "is not known" not in answer.text
