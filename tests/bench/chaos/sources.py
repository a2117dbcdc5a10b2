"""Who sends events: a plain Kafka producer, and apps over HTTP that heed what they are answered."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import aiohttp
from confluent_kafka import KafkaError, Message, Producer

from shared.events import FeedbackGiven, PredictionLogged
from shared.events.envelope import event_type
from tests.bench.chaos.content import predicted, said
from tests.bench.chaos.ledger import Ledger

OVER_HTTP = 0.2
ONE_IN_FEEDBACK = 16
IN_ONE_BODY = 50
CLIENTS = 4
CHUNK = 250
FEW_WAITING = 20_000  # of the producer: what waits longer would be sent after the fault
REQUEST_SECONDS = 30.0
AGAIN_SECONDS = 0.25


class Naming(StrEnum):
    """What makes it safe for an app to send again."""

    IDS = "ids"
    KEY = "Idempotency-Key"
    NONE = "nothing"


@dataclass(frozen=True)
class Body:
    """One request. Its lines are numbered by content."""

    naming: Naming
    key: str
    numbers: tuple[int, ...]
    is_feedback: bool

    @property
    def path(self) -> str:
        return "/feedback" if self.is_feedback else "/predictions"

    def bytes(self) -> bytes:
        return b"\n".join(json.dumps(self._line(n)).encode() for n in self.numbers)

    def _line(self, n: int) -> dict[str, Any]:
        if self.is_feedback:
            line = said(n) | {"prediction_id": f"k-{n}"}
            del line["given_at"]
            return line | ({"feedback_id": f"hf-{n}"} if self.naming is Naming.IDS else {})
        return predicted(n) | ({"prediction_id": f"h-{n}"} if self.naming is Naming.IDS else {})


class Sources:
    """Numbers events, sends them, and writes what was acknowledged into the ledger."""

    def __init__(self, kafka: str, intakes: Sequence[str], ledger: Ledger, seed: int) -> None:
        self._intakes, self._ledger, self._random = tuple(intakes), ledger, random.Random(seed)
        self._numbers, self._bodies = itertools.count(), itertools.count()
        self._producer = Producer(
            {
                "bootstrap.servers": kafka,
                "enable.idempotence": True,
                "linger.ms": 5,
                "message.timeout.ms": 300_000,
                "reconnect.backoff.max.ms": 1000,
                "topic.metadata.refresh.interval.ms": 5_000,
                "log_level": 2,
                "error_cb": lambda error: None,
            }
        )

    async def send(self, events: int, kafka_seconds: float, http_seconds: float) -> None:
        """So many, spread over so long, or longer where they are not taken."""
        over_http = int(events * OVER_HTTP)
        await asyncio.gather(
            self._over_kafka(events - over_http, kafka_seconds), self._over_http(over_http, http_seconds)
        )

    async def flush(self, seconds: float) -> None:
        """Waits until Kafka has said of each event whether it has it. Raises TimeoutError."""
        waiting = await asyncio.to_thread(self._producer.flush, seconds)
        if waiting:
            raise TimeoutError(f"Kafka said nothing of {waiting} events within {seconds:.0f} s")

    async def _over_kafka(self, events: int, seconds: float) -> None:
        chunks = max(1, -(-events // CHUNK))
        for number in range(chunks):
            for _ in range(min(CHUNK, events - number * CHUNK)):
                self._produce(next(self._numbers))
            self._producer.poll(0)
            await asyncio.sleep(seconds / chunks)
            while len(self._producer) > FEW_WAITING:
                self._producer.poll(0)
                await asyncio.sleep(0.05)

    def _produce(self, n: int) -> None:
        kind: type[PredictionLogged | FeedbackGiven]
        if n % ONE_IN_FEEDBACK:
            kind, name, line = PredictionLogged, f"k-{n}", predicted(n) | {"prediction_id": f"k-{n}"}
        else:
            kind, name = FeedbackGiven, f"f-{n}"
            line = said(n) | {"feedback_id": name, "prediction_id": f"k-{n + 1}"}
        # Half of them as a plain client would: nothing but JSON.
        headers = {
            "ce_specversion": "1.0",
            "ce_id": name,
            "ce_type": event_type(kind.topic),
            "ce_source": "/chaos",
        }
        taken = self._ledger.predictions if kind is PredictionLogged else self._ledger.feedback

        def on_delivery(error: KafkaError | None, message: Message) -> None:
            if error is None:
                taken[name] = n
            else:
                self._ledger.unsure += 1

        self._producer.produce(
            kind.topic.name,
            json.dumps(line).encode(),
            line["prediction_id"].encode(),
            headers=headers if n % 2 else None,
            on_delivery=on_delivery,
        )

    async def _over_http(self, events: int, seconds: float) -> None:
        bodies: list[Body] = []
        left = events
        while left > 0:
            size = min(left, self._random.choice((1, IN_ONE_BODY, IN_ONE_BODY)))
            is_feedback = size == 1 and self._random.random() < 0.5
            numbers = tuple(next(self._numbers) for _ in range(size))
            naming = self._random.choice(list(Naming))
            bodies.append(Body(naming, f"key-{next(self._bodies)}", numbers, is_feedback))
            left -= size
        waiting, pause = iter(bodies), seconds * CLIENTS / max(1, len(bodies))

        async def client(session: aiohttp.ClientSession) -> None:
            for body in waiting:
                await self._until_taken(session, body)
                await asyncio.sleep(pause)

        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS)) as session:
            await asyncio.gather(*(client(session) for _ in range(CLIENTS)))

    async def _until_taken(self, session: aiohttp.ClientSession, body: Body) -> None:
        """Sends it again until it is taken, as a careful app would, and no more often than is safe."""
        headers = {"content-type": "application/json" if len(body.numbers) == 1 else "application/x-ndjson"}
        if body.naming is Naming.KEY:
            headers["Idempotency-Key"] = body.key
        content = body.bytes()
        for intake in itertools.cycle(self._random.sample(self._intakes, len(self._intakes))):
            try:
                async with session.post(intake + body.path, data=content, headers=headers) as answer:
                    status, told = answer.status, await answer.json(content_type=None)
            except aiohttp.ClientConnectorError:
                pass  # it never got there
            except (aiohttp.ClientError, TimeoutError, ConnectionError, ValueError) as error:
                self._ledger.answers[f"no answer ({type(error).__name__})"] += 1
                if body.naming is Naming.NONE and "Idempotency-Key" not in headers:
                    self._ledger.unsure += len(body.numbers)
                    return
            else:
                if status == 202:
                    self._ledger.answers["202"] += 1
                    self._taken(body, told["ids"], intake)
                    return
                self._ledger.answers[f"{status} {told.get('title')}"] += 1
                if key := told.get("idempotency_key"):  # what makes it the same when it is sent again
                    headers["Idempotency-Key"] = key
            await asyncio.sleep(AGAIN_SECONDS)

    def _taken(self, body: Body, ids: Sequence[str], intake: str) -> None:
        assert len(ids) == len(body.numbers), "an id for each line"
        taken = self._ledger.feedback if body.is_feedback else self._ledger.predictions
        when = f"with {body.naming} over HTTP by {intake} at {self._ledger.at()}"
        for name, n in zip(ids, body.numbers, strict=True):
            taken[name] = n
            self._ledger.how[name] = when
