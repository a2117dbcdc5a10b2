"""Frames, request headers and the table of offered APIs; bodies are kafka-python's own classes."""

import asyncio
import struct
from dataclasses import dataclass
from typing import Any

from kafka.protocol import admin, consumer, metadata, producer

from deploy.laptop.kafka.error_codes import ErrorCode

MAX_FRAME_BYTES = 100 * 1024 * 1024  # Kafka's own default (socket.request.max.bytes)
API_VERSIONS = 18
_FIXED_HEADER = struct.Struct(">hhih")  # API key, version, correlation id, length of the client id


class MalformedFrame(Exception):
    """The bytes are no request this broker can read; the connection has lost its place and is closed."""


@dataclass(frozen=True)
class Api:
    """One request of the protocol, offered from version `lowest` to `highest`."""

    request: Any
    response: Any
    lowest: int
    highest: int


# Metadata from 10 on and Fetch and Produce from 13 on name topics by UUID: stopping below avoids topic ids.
APIS: dict[int, Api] = {
    api.request.API_KEY: api
    for api in (
        Api(producer.ProduceRequest, producer.ProduceResponse, 3, 9),
        Api(consumer.FetchRequest, consumer.FetchResponse, 4, 12),
        Api(consumer.ListOffsetsRequest, consumer.ListOffsetsResponse, 1, 7),
        Api(metadata.MetadataRequest, metadata.MetadataResponse, 0, 9),
        Api(consumer.OffsetCommitRequest, consumer.OffsetCommitResponse, 2, 8),
        Api(consumer.OffsetFetchRequest, consumer.OffsetFetchResponse, 1, 8),
        Api(metadata.FindCoordinatorRequest, metadata.FindCoordinatorResponse, 0, 4),
        Api(consumer.JoinGroupRequest, consumer.JoinGroupResponse, 0, 9),
        Api(consumer.HeartbeatRequest, consumer.HeartbeatResponse, 0, 4),
        Api(consumer.LeaveGroupRequest, consumer.LeaveGroupResponse, 0, 5),
        Api(consumer.SyncGroupRequest, consumer.SyncGroupResponse, 0, 5),
        Api(admin.DescribeGroupsRequest, admin.DescribeGroupsResponse, 0, 5),
        Api(admin.ListGroupsRequest, admin.ListGroupsResponse, 0, 4),
        Api(metadata.ApiVersionsRequest, metadata.ApiVersionsResponse, 0, 3),
        Api(admin.CreateTopicsRequest, admin.CreateTopicsResponse, 2, 6),
        Api(admin.DeleteTopicsRequest, admin.DeleteTopicsResponse, 1, 5),
        Api(admin.DeleteRecordsRequest, admin.DeleteRecordsResponse, 0, 2),
        Api(producer.InitProducerIdRequest, producer.InitProducerIdResponse, 0, 4),
        Api(admin.DescribeConfigsRequest, admin.DescribeConfigsResponse, 1, 4),
        Api(admin.AlterConfigsRequest, admin.AlterConfigsResponse, 0, 2),
        Api(admin.CreatePartitionsRequest, admin.CreatePartitionsResponse, 0, 3),
        Api(admin.DeleteGroupsRequest, admin.DeleteGroupsResponse, 0, 2),
        Api(admin.IncrementalAlterConfigsRequest, admin.IncrementalAlterConfigsResponse, 0, 1),
        Api(admin.DescribeClusterRequest, admin.DescribeClusterResponse, 0, 1),
    )
}


@dataclass(frozen=True)
class Call:
    """Who asks what: `body` is the decoded request, None for a version of ApiVersions that is not offered."""

    api_key: int
    version: int
    correlation_id: int
    client_id: str
    client_host: str
    body: Any


async def read_frame(reader: asyncio.StreamReader) -> bytes | None:
    """The next frame without its length, None if the client has closed. MalformedFrame before allocating."""
    try:
        size = int.from_bytes(await reader.readexactly(4), "big", signed=True)
        if not _FIXED_HEADER.size <= size <= MAX_FRAME_BYTES:
            raise MalformedFrame(f"a frame of {size} bytes, at most {MAX_FRAME_BYTES} are read")
        return await reader.readexactly(size)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


def parse(frame: bytes, client_host: str) -> Call:
    """Raises MalformedFrame for garbage and for an API or version not offered (ApiVersions excepted)."""
    api_key, version, correlation_id, name_bytes = _FIXED_HEADER.unpack_from(frame)
    position = _FIXED_HEADER.size + max(name_bytes, 0)
    client_id = frame[_FIXED_HEADER.size : position].decode(errors="replace")
    api = APIS.get(api_key)
    if api is None or not api.lowest <= version <= api.highest:
        if api_key != API_VERSIONS:
            raise MalformedFrame(f"API {api_key} version {version} is not offered")
        return Call(api_key, version, correlation_id, client_id, client_host, None)
    try:
        if api.request.flexible_version_q(version):
            position = _after_tags(frame, position)
        body = api.request.decode(memoryview(frame)[position:], version=version)
    except Exception as problem:  # the codec raises whatever the garbage leads it to
        raise MalformedFrame(f"API {api_key} version {version}: {problem!r}") from problem
    return Call(api_key, version, correlation_id, client_id, client_host, body)


def _after_tags(frame: bytes, position: int) -> int:
    """Where the body starts: flexible headers end in tagged fields, none of which a client sends today."""
    if frame[position] != 0:
        raise ValueError("tagged fields in a request header are not offered")
    return position + 1


def framed(call: Call, response: Any) -> bytes:
    """The answer to `call`, ready to write."""
    response.API_VERSION = call.version if call.body is not None else 0
    response.with_header(call.correlation_id)
    encoded: bytes = response.encode(header=True, framed=True)
    return encoded


def api_versions(call: Call) -> Any:
    """A version not offered is answered in the layout of version 0, with the list: clients then ask again."""
    entry = metadata.ApiVersionsResponse.ApiVersion
    return metadata.ApiVersionsResponse(
        error_code=ErrorCode.UNSUPPORTED_VERSION if call.body is None else ErrorCode.NONE,
        api_keys=[
            entry(api_key=key, min_version=api.lowest, max_version=api.highest) for key, api in APIS.items()
        ],
    )
