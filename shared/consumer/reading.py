"""From records as librdkafka gives them to events; headers are taken as they came."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import repeat
from operator import itemgetter
from types import MappingProxyType
from typing import Any

from confluent_kafka import Message

from shared.consumer.records import ConsumerRecord, Place, ReadMany
from shared.consumer.tracing import MOST_LINKS, watched_tracer
from shared.events.envelope import Event, Headers, InvalidMessage, read

Records = list[ConsumerRecord[Any]]


BY_SETTING = "set aside unhandled, as CONSUMER_SET_ASIDE says"


class Reader:
    """Reads one topic's records, on whatever thread. Whatever one of them stumbles over is its own alone."""

    def __init__(
        self,
        kind: type[Event],
        read_many: ReadMany | None = None,
        unhandled: Mapping[Place, Collection[int]] = MappingProxyType({}),
    ) -> None:
        """`unhandled`: offsets of records that are to be set aside whatever they hold."""
        self._kind, self._read_many = kind, read_many
        self._unhandled = {
            number: of for (topic, number), of in unhandled.items() if topic == kind.topic.name
        }

    def read(self, messages: Sequence[Message]) -> dict[int, Records]:
        """By partition, each in order."""
        values: list[bytes | None] = list(map(Message.value, messages))
        headers = _headers(messages)
        events = self._events(values, headers)
        sizes = [len(value) if value is not None else 0 for value in values]
        places = (list(map(Message.partition, messages)), list(map(Message.offset, messages)))
        times = map(itemgetter(1), map(Message.timestamp, messages))
        records = list(map(ConsumerRecord, events, *places, times, repeat(0), sizes))
        if self._read_many is None or InvalidMessage in set(map(type, events)):
            for record, message, value, given in zip(records, messages, values, headers, strict=True):
                if isinstance(record.event, InvalidMessage):
                    record.event, record.reason = None, str(record.event)
                elif self._read_many is not None:
                    continue
                record.key, record.value, record.headers = message.key(), value, given or ()
        elif watched_tracer() is not None:
            for record, given in zip(records[:MOST_LINKS], headers, strict=False):
                record.headers = given
        found = _by_partition(records)
        for number in self._unhandled.keys() & found.keys():
            for record in found[number]:
                if record.offset in self._unhandled[number]:
                    record.reason = BY_SETTING
        return found

    def _events(self, values: list[bytes | None], headers: list[Headers]) -> list[Any]:
        if self._read_many is not None and None not in headers:
            return self._read_many(self._kind, values, headers)
        return [_read(self._kind, value, each) for value, each in zip(values, headers, strict=True)]


def read_messages(readers: Mapping[str, Reader], messages: Sequence[Message]) -> dict[Place, Records]:
    """The records of one poll, by the place they came from."""
    topics = list(map(Message.topic, messages))
    found: dict[Place, Records] = {}
    for topic in dict.fromkeys(topics):
        is_alone = topics.count(topic) == len(topics)
        of_topic = (
            messages
            if is_alone
            else [one for one, name in zip(messages, topics, strict=True) if name == topic]
        )
        for number, records in readers[topic].read(of_topic).items():
            found[topic, number] = records
    return found


def _by_partition(records: Records) -> dict[int, Records]:
    found: dict[int, Records] = {}
    for record in records:
        if (held := found.get(record.partition)) is None:
            held = found[record.partition] = []
        held.append(record)
    return found


def _headers(messages: Sequence[Message]) -> list[Any]:
    """None for a record whose headers' names are no UTF-8."""
    try:
        return [given or () for given in map(Message.headers, messages)]
    except Exception:
        return [_headers_of(message) for message in messages]


def _headers_of(message: Message) -> Headers | None:
    try:
        return message.headers() or ()
    except Exception:
        return None


def _read(kind: type[Event], value: bytes | None, headers: Headers | None) -> Event | InvalidMessage:
    if headers is None:
        return InvalidMessage("a header's name is not UTF-8")
    try:
        return read(kind, value, headers)
    except InvalidMessage as invalid:
        return invalid
    except MemoryError:
        raise
    except Exception as error:
        return InvalidMessage(f"the record cannot be read ({type(error).__name__})")
