import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.protocol.consumer import FetchRequest
from kafka.protocol.metadata import MetadataRequest

from deploy.laptop.kafka.wire import APIS, MalformedFrame, parse


def metadata_request() -> bytes:
    topic = MetadataRequest.MetadataRequestTopic
    request = MetadataRequest(topics=[topic(name="topic")], allow_auto_topic_creation=False)
    request.API_VERSION = 9
    request.with_header(7, "client")
    encoded: bytes = request.encode(header=True)
    return encoded


def test_a_request_is_read_as_it_was_written() -> None:
    call = parse(metadata_request(), "/127.0.0.1")
    assert (call.correlation_id, call.client_id, call.version) == (7, "client", 9)
    assert [topic.name for topic in call.body.topics] == ["topic"]


@given(st.data())
def test_whatever_the_bytes_they_are_a_request_or_refused(data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(sorted(APIS)))
    version = data.draw(st.integers(APIS[key].lowest, APIS[key].highest))
    rest = data.draw(st.binary(min_size=6, max_size=200))
    with contextlib.suppress(MalformedFrame):
        assert parse(key.to_bytes(2, "big") + version.to_bytes(2, "big") + rest, "").api_key == key


@given(position=st.integers(0, len(metadata_request()) - 1), byte=st.integers(0, 255))
def test_a_request_with_one_wrong_byte_is_a_request_or_refused(position: int, byte: int) -> None:
    frame = bytearray(metadata_request())
    frame[position] = byte
    with contextlib.suppress(MalformedFrame):
        parse(bytes(frame), "")


@pytest.mark.parametrize("version", [0, FetchRequest.max_version])
def test_a_version_that_is_not_offered_is_refused(version: int) -> None:
    with pytest.raises(MalformedFrame, match="not offered"):
        parse(FetchRequest.API_KEY.to_bytes(2, "big") + version.to_bytes(2, "big") + bytes(6), "")
