"""A dead letter: a record that can never be handled, with the reason and its place; pure."""

from __future__ import annotations

from datetime import datetime

from shared.events.envelope import MOST_EVENT_BYTES, Headers, Record, Topic, derived_id

MOST_REASON = 1000
MOST_KEY_BYTES = 4096
CONTENT_TYPE = "content-type"


def dead_letter(
    topic: Topic,
    service: str,
    partition: int,
    offset: int,
    reason: str,
    at: datetime,
    value: bytes | None,
    key: bytes | None = None,
    headers: Headers = (),
) -> Record:
    """What `service` sets aside. `reason` quotes nothing of the payload; the payload is kept as it came.

    Of what is too long the head is kept and the rest is where the headers say, as long as that topic has it.
    """
    place = (topic.name, str(partition), str(offset))
    kept = (value or b"")[:MOST_EVENT_BYTES]
    is_whole = len(kept) == len(value or b"") and len(key or b"") <= MOST_KEY_BYTES
    said = {
        "ce_id": derived_id("dead-letter", service, *place),
        "dead_letter_reason": reason[:MOST_REASON],
        "dead_letter_service": service,
        "dead_letter_topic": place[0],
        "dead_letter_partition": place[1],
        "dead_letter_offset": place[2],
        "dead_letter_at": at.isoformat(timespec="milliseconds"),
        "dead_letter_truncated": "false" if is_whole else "true",
    }
    content_type = dict(headers).get(CONTENT_TYPE)
    if isinstance(content_type, bytes):
        said[CONTENT_TYPE] = content_type[:MOST_REASON].decode("utf-8", "replace")
    return Record(topic.dead_letters, (key or b"")[:MOST_KEY_BYTES] or None, kept, said)


def reference(letter: Record) -> Record:
    """The same without its value, for a broker that takes only smaller ones: the place says where it is."""
    return Record(letter.topic, letter.key, b"", {**letter.headers, "dead_letter_truncated": "true"})
