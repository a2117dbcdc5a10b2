"""Whether a server answers what it is there for; an open port is not enough."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import aiohttp
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from deploy.laptop.clickhouse.ready import takes_queries
from shared.kafka import Kafka

ANSWER_SECONDS = 5.0


async def kafka_answers(kafka: Kafka) -> bool:
    """Whether a broker tells which topics there are."""
    parts = urlsplit(f"//{kafka.servers}")
    try:
        _, writer = await asyncio.open_connection(parts.hostname, parts.port)
    except OSError:
        return False
    writer.close()
    return await asyncio.to_thread(_lists_topics, kafka)


def _lists_topics(kafka: Kafka) -> bool:
    admin = AdminClient({**kafka.client("tuneloop-laptop"), "log_level": 0})
    try:
        admin.list_topics(timeout=ANSWER_SECONDS)
    except KafkaException:
        return False
    return True


async def clickhouse_answers(url: str) -> bool:
    """Whether ClickHouse takes queries from the user in `url`."""
    return await asyncio.to_thread(takes_queries, url)


async def http_answers(url: str) -> bool:
    """Whether a GET of `url` gives 200."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
            session.get(url) as reply,
        ):
            return reply.status == 200
    except (aiohttp.ClientError, OSError, TimeoutError):
        return False
