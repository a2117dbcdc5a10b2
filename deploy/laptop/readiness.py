"""Whether a server answers what it is there for; an open port is not enough."""

from __future__ import annotations

import asyncio
import logging
from urllib.parse import urlsplit

import aiohttp
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from deploy.laptop.clickhouse.ready import takes_queries


async def kafka_answers(bootstrap_servers: str) -> bool:
    """Whether a broker tells which topics there are."""
    parts = urlsplit(f"//{bootstrap_servers}")
    try:
        _, writer = await asyncio.open_connection(parts.hostname, parts.port)
    except OSError:
        return False
    writer.close()
    return await asyncio.to_thread(_lists_topics, bootstrap_servers)


def _lists_topics(bootstrap_servers: str) -> bool:
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # a broker that is not there yet is no news
    try:
        admin = KafkaAdminClient(bootstrap_servers=bootstrap_servers, client_id="tuneloop-laptop")
        try:
            admin.list_topics()
        finally:
            admin.close()
    except (KafkaError, OSError):
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
