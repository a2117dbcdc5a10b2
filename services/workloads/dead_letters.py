"""Records that were set aside: what they say, which are still undecided, and how one goes back; pure."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from shared.events.envelope import Record
from shared.times import utc

Headers = Sequence[tuple[str, bytes | None]]
OWN_HEADERS = "dead_letter_"


class Decision(StrEnum):
    REPLAYED = "replayed"
    DROPPED = "dropped"


@dataclass(frozen=True)
class DeadLetter:
    """One that was set aside, without its payload."""

    id: str
    topic: str
    """The one it came from."""
    partition: int
    offset: int
    service: str
    """Who set it aside."""
    reason: str
    at: datetime
    bytes: int
    """Of what is kept of it."""
    is_whole: bool
    """False: only its head is kept, or nothing; the record stands at its place while Kafka keeps it."""
    kept_partition: int
    kept_offset: int
    """Where it lies on the topic of dead letters."""

    @property
    def dead_letters(self) -> str:
        return f"{self.topic}-dead-letter"


@dataclass(frozen=True)
class Wanted:
    """Which dead letters somebody asks for; None is any."""

    topic: str | None = None
    service: str | None = None
    since: datetime | None = None

    def holds(self, letter: DeadLetter) -> bool:
        return (
            self.topic in (None, letter.topic)
            and self.service in (None, letter.service)
            and (self.since is None or letter.at >= self.since)
        )


@dataclass(frozen=True)
class RawRecord:
    """A record as Kafka has it."""

    key: bytes | None
    value: bytes
    headers: Headers
    timestamp_ms: int


def read_letter(record: RawRecord, kept_partition: int, kept_offset: int) -> DeadLetter | None:
    """None for a record that says nothing of where it came from: none of ours."""
    said = {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers}
    try:
        place = said["dead_letter_topic"], int(said["dead_letter_partition"]), int(said["dead_letter_offset"])
        letter_id = said["ce_id"]
    except (KeyError, ValueError):
        return None
    return DeadLetter(
        letter_id,
        *place,
        service=said.get("dead_letter_service", ""),
        reason=said.get("dead_letter_reason", ""),
        at=_moment(said.get("dead_letter_at", ""), record.timestamp_ms),
        bytes=len(record.value),
        is_whole=said.get("dead_letter_truncated") != "true" and bool(record.value),
        kept_partition=kept_partition,
        kept_offset=kept_offset,
    )


def _moment(said: str, timestamp_ms: int) -> datetime:
    try:
        moment = datetime.fromisoformat(said)
    except ValueError:
        return datetime.fromtimestamp(max(timestamp_ms, 0) / 1000, UTC)
    return utc(moment)


def undecided(letters: Iterable[DeadLetter], decided: Iterable[str]) -> list[DeadLetter]:
    """The newest first, each once: a kill may have set one aside twice."""
    done, seen = set(decided), dict[str, DeadLetter]()
    for letter in letters:
        if letter.id not in done:
            seen.setdefault(letter.id, letter)
    return sorted(seen.values(), key=lambda one: (one.at, one.topic, one.partition, one.offset), reverse=True)


def named(letters: Iterable[DeadLetter], beginning: str) -> list[DeadLetter]:
    """Those whose id is this, or begins so."""
    return [letter for letter in letters if beginning and letter.id.startswith(beginning)]


def counts(letters: Iterable[DeadLetter]) -> dict[tuple[str, str], int]:
    """By topic and service."""
    return dict(sorted(Counter((letter.topic, letter.service) for letter in letters).items()))


def is_the_original(letter: DeadLetter, kept: RawRecord, found: RawRecord | None) -> bool:
    """Whether what stands at its place now is the record it was: a topic made anew counts from 0 again."""
    if found is None:
        return False
    if letter.is_whole:
        return (found.key, found.value) == (kept.key, kept.value)
    return (found.key or b"").startswith(kept.key or b"") and found.value.startswith(kept.value)


def replayed(letter: DeadLetter, kept: RawRecord, original: RawRecord | None) -> Record | None:
    """What to publish on the topic it came from; None if only its head is left.

    The original as it was, where it is still there. Its ids come from its value, so that consuming it once
    more counts nothing twice.
    """
    if original is not None:
        return Record(letter.topic, original.key, original.value, _texts(original.headers))
    if not letter.is_whole:
        return None
    said = _texts(kept.headers).get("content-type")
    headers = {"content-type": said or _content_type(kept.value)}
    return Record(letter.topic, kept.key, kept.value, headers)


def _texts(headers: Headers) -> dict[str, str]:
    """Those that are text; others say nothing that a service reads."""
    texts = {}
    for name, value in headers:
        if name.startswith(OWN_HEADERS) or name == "traceparent":
            continue
        try:
            texts[name] = (value or b"").decode("utf-8")
        except UnicodeDecodeError:
            continue
    return texts


def _content_type(value: bytes) -> str:
    """Earlier versions did not keep it: structured CloudEvents are told by their content."""
    try:
        payload = json.loads(value)
    except (ValueError, RecursionError):
        return "application/json"
    is_structured = isinstance(payload, dict) and {"specversion", "type", "data"} <= payload.keys()
    return "application/cloudevents+json" if is_structured else "application/json"


def shown(value: bytes) -> Mapping[str, str]:
    """A payload for people: text, or base64 of what is none."""
    try:
        return {"text": value.decode("utf-8")}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}
