"""Looks whether what a process stands on answers, when somebody asks whether the process is ready."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from services.kafka_acls import AclsMissing, AclsUnknown
from services.readiness import Readiness
from shared.clickhouse import ClickHouse
from shared.kafka import Kafka
from shared.model_server import ModelServer
from shared.service import Clock, Server

LOOK_SECONDS = 2.0  # an orchestrator's own patience is a few seconds
AGAIN_SECONDS = 2.0  # so old the last look may be

Look = Callable[[], Awaitable[object]]


class Checks:
    """Nothing is looked at while nobody asks."""

    def __init__(
        self, readiness: Readiness, looks: Mapping[str, Look], clock: Clock, only_named: Collection[str] = ()
    ) -> None:
        """`only_named`: what the process can do without for a while, and what is to be known all the same."""
        self._readiness, self._looks, self._clock = readiness, looks, clock
        self._only_named = only_named
        self._looking: asyncio.Task[None] | None = None
        self._looked_at = float("-inf")

    async def look(self) -> None:
        """Several who ask at once wait for one look."""
        now = asyncio.get_running_loop().time
        if self._looking is None and now() - self._looked_at > AGAIN_SECONDS:
            self._looking = asyncio.create_task(self._look())
            self._looking.add_done_callback(self._done)
        if self._looking is not None:
            await asyncio.shield(self._looking)

    async def _look(self) -> None:
        await asyncio.gather(*(self._look_at(server, look) for server, look in self._looks.items()))

    def _done(self, _: asyncio.Task[None]) -> None:
        self._looking, self._looked_at = None, asyncio.get_running_loop().time()

    async def _look_at(self, server: str, look: Look) -> None:
        why = None
        try:
            async with asyncio.timeout(LOOK_SECONDS + 0.5):
                await look()
        except AclsUnknown:
            return  # that Kafka is away is looked at elsewhere
        except AclsMissing as missing:
            why = str(missing)
        except TimeoutError:
            why = f"no answer within {LOOK_SECONDS:.0f} s"
        except Exception as error:  # whatever it is: this is what is asked about
            why = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
        self._readiness.saw(server, why, self._clock(), is_only_named=server in self._only_named)


def looks_at(
    servers: Collection[Server], kafka: Kafka, clickhouse: ClickHouse, models: ModelServer
) -> dict[str, Look]:
    """How each of them is looked at."""
    looks: dict[str, Look] = {
        "Kafka": look_at_kafka(kafka),
        "ClickHouse": lambda: clickhouse.patient(LOOK_SECONDS).rows("SELECT 1"),
        "model server": models.loaded,
    }
    return {server: look for server, look in looks.items() if server in servers}


def look_at_kafka(kafka: Kafka) -> Look:
    """Raises TimeoutError if no broker answers."""
    admin: AdminClient | None = None

    def look() -> None:
        nonlocal admin
        if admin is None:
            admin = AdminClient({**kafka.client("tuneloop-ready"), "log_level": 0})
        try:
            admin.list_topics(timeout=LOOK_SECONDS)  # of no topic in particular: to ask for one may create it
        except KafkaException as failure:
            raise TimeoutError(f"no broker answers at {kafka.servers}: {failure.args[0].str()}") from None

    return lambda: asyncio.to_thread(look)
