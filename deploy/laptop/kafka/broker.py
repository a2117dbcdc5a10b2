"""Puts the broker together: data folder, handlers by API key, connections, the clock that drives groups."""

import asyncio
import fcntl
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import IO, Any

from kafka.protocol import admin, consumer, producer
from kafka.protocol import metadata as discovery

from deploy.laptop.kafka.admin import Admin
from deploy.laptop.kafka.catalog import Catalog
from deploy.laptop.kafka.configs import Configs
from deploy.laptop.kafka.coordinator import Coordinator
from deploy.laptop.kafka.disk import DiskThread
from deploy.laptop.kafka.group_commit import GroupCommit
from deploy.laptop.kafka.metadata import Metadata
from deploy.laptop.kafka.offsets import Offsets
from deploy.laptop.kafka.produce_fetch import ProduceFetch
from deploy.laptop.kafka.topics import Topics
from deploy.laptop.kafka.wire import (
    API_VERSIONS,
    Call,
    MalformedFrame,
    api_versions,
    framed,
    parse,
    read_frame,
)

logger = logging.getLogger(__name__)

_READ_AHEAD_BYTES = 8 << 20  # of each connection; with 64 kB large batches arrive in many small steps
_TICK_SECONDS = 1.0  # the shortest session there is
_TICKS_PER_UPKEEP = 5
Handler = Callable[[Call], Awaitable[Any]]


class FolderInUse(Exception):
    """Another broker has this data folder; two would destroy it."""


class Broker:
    """One node over one data folder: made, started on an address, stopped."""

    def __init__(self, folder: Path, *, fsync: bool = False) -> None:
        """With `fsync` what is acknowledged survives a power failure too. Raises FolderInUse."""
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(folder / "lock")
        self._catalog = Catalog(folder / "catalog.sqlite", fsync=fsync)
        self._disk = DiskThread(waits=fsync)
        self._topics = Topics(folder / "topics", self._catalog, self._disk)
        self._group_commit: GroupCommit | None = None
        self._coordinator = Coordinator(self._catalog)
        self._handlers: dict[int, Handler] = {}
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self, sockets: Sequence[socket.socket]) -> tuple[str, int]:
        """Listens on all of them and tells clients the address of the first, which it returns."""
        host, port = sockets[0].getsockname()[:2]
        if self._disk.waits:
            self._group_commit = GroupCommit()
        self._handlers = self._routes(Metadata(self._topics, self._catalog.cluster_id(), host, port))
        self._servers = [
            await asyncio.start_server(self._answer_connection, sock=one, limit=_READ_AHEAD_BYTES)
            for one in sockets
        ]
        self._clock = asyncio.create_task(self._keep_time())
        return host, port

    def _routes(self, node: Metadata) -> dict[int, Handler]:
        records = ProduceFetch(self._topics, self._catalog, self._group_commit)
        groups = self._coordinator
        offsets = Offsets(self._topics, self._catalog, groups)
        administration = Admin(self._topics)
        configs = Configs(self._topics)
        return {
            producer.ProduceRequest.API_KEY: records.produce,
            producer.InitProducerIdRequest.API_KEY: records.init_producer_id,
            consumer.FetchRequest.API_KEY: records.fetch,
            consumer.ListOffsetsRequest.API_KEY: records.list_offsets,
            consumer.OffsetCommitRequest.API_KEY: offsets.offset_commit,
            consumer.OffsetFetchRequest.API_KEY: offsets.offset_fetch,
            consumer.JoinGroupRequest.API_KEY: groups.join_group,
            consumer.SyncGroupRequest.API_KEY: groups.sync_group,
            consumer.HeartbeatRequest.API_KEY: groups.heartbeat,
            consumer.LeaveGroupRequest.API_KEY: groups.leave_group,
            admin.ListGroupsRequest.API_KEY: groups.list_groups,
            admin.DescribeGroupsRequest.API_KEY: groups.describe_groups,
            admin.DeleteGroupsRequest.API_KEY: groups.delete_groups,
            discovery.MetadataRequest.API_KEY: node.metadata,
            discovery.FindCoordinatorRequest.API_KEY: node.find_coordinator,
            admin.DescribeClusterRequest.API_KEY: node.describe_cluster,
            admin.CreateTopicsRequest.API_KEY: administration.create_topics,
            admin.DeleteTopicsRequest.API_KEY: administration.delete_topics,
            admin.CreatePartitionsRequest.API_KEY: administration.create_partitions,
            admin.DescribeConfigsRequest.API_KEY: configs.describe_configs,
            admin.IncrementalAlterConfigsRequest.API_KEY: configs.incremental_alter_configs,
            admin.AlterConfigsRequest.API_KEY: configs.alter_configs,
            admin.DeleteRecordsRequest.API_KEY: administration.delete_records,
        }

    async def disk_failure(self) -> OSError:
        """Returns when the disk refused to keep what it was given: only a new start knows what is there."""
        never: asyncio.Future[OSError] = asyncio.get_running_loop().create_future()
        return await (never if self._group_commit is None else self._group_commit.failed)

    async def stop(self) -> None:
        """Close every connection and file; what was acknowledged is kept."""
        for server in self._servers:
            server.close()
        self._clock.cancel()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(self._clock, *self._connections, return_exceptions=True)
        self._disk.close()
        self._topics.close()
        self._catalog.close()
        self._lock.close()

    async def _answer_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Requests of a connection are answered one after the other, in order, as the protocol wants it."""
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        peer = writer.get_extra_info("peername")[0]
        try:
            while (frame := await read_frame(reader)) is not None:
                call = parse(frame, f"/{peer}")
                response = await self._answer(call)
                if response is not None:
                    writer.write(framed(call, response))
                    await writer.drain()
        except MalformedFrame as problem:
            logger.warning("connection from %s closed: %s", peer, problem)
        except asyncio.CancelledError:
            # By stop(), at the very end of this task; passed on, asyncio 3.11 would log it as a fault.
            logger.debug("connection from %s closed, the broker stops", peer)
        except ConnectionError:
            logger.debug("connection from %s was lost", peer)
        except Exception:
            logger.exception("connection from %s closed by a fault of the broker", peer)
        finally:
            self._connections.discard(task)
            writer.close()

    async def _answer(self, call: Call) -> Any:
        if call.api_key == API_VERSIONS:
            return api_versions(call)
        return await self._handlers[call.api_key](call)

    async def _keep_time(self) -> None:
        ticks = 0
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            ticks += 1
            self._coordinator.tick()
            if ticks % _TICKS_PER_UPKEEP == 0:
                self._keep_up()

    def _keep_up(self) -> None:
        """A full disk stops neither the clock nor the other partitions."""
        for topic in self._topics:
            for log in topic.logs:
                try:
                    log.retain()
                    log.checkpoint()
                except OSError as problem:
                    logger.warning("%s: upkeep of its files: %s", topic.row.name, problem)


def _locked(path: Path) -> IO[bytes]:
    """Held until the file is closed or the process dies."""
    file = path.open("wb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise FolderInUse(
            f"{path.parent} is in use by another broker: stop it, or choose another --data"
        ) from None
    return file
