"""What was acknowledged against what is in the tables, and the story of what is missing."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from confluent_kafka import Consumer, TopicPartition

from tests.bench.chaos.content import STORED_FEEDBACK, STORED_PREDICTIONS, TOPICS, WORKLOAD, is_doubted
from tests.bench.chaos.gateway import WORKLOAD as ANSWERS
from tests.bench.chaos.ledger import Ledger
from tests.bench.installation import asked
from tests.bench.progress import Sight

SHARES = 8  # so that no answer is large
STORIES = 5
READ_SECONDS = 60.0


@dataclass
class Comparison:
    """Counts of events, predictions and feedback together."""

    stored: int = 0
    """Acknowledged and in a table."""
    visible: int = 0
    """Acknowledged and in a published view."""
    visible_twice: int = 0
    """Ids that a view shows more than once, and contents that it shows under two ids."""
    wrong: list[str] = field(default_factory=list)
    """Ids that show another content than was acknowledged."""
    missing: list[str] = field(default_factory=list)
    unflagged: list[str] = field(default_factory=list)
    """Predictions in doubt that were stored and never flagged."""

    @property
    def is_right(self) -> bool:
        return not (self.missing or self.wrong or self.unflagged or self.visible_twice)


def compare(url: str, ledger: Ledger) -> Comparison:
    """Asks ClickHouse itself, past any proxy."""
    found = Comparison()
    _compare_one(url, found, "predictions", "prediction_id", STORED_PREDICTIONS, ledger.predictions)
    _compare_one(url, found, "feedback", "feedback_id", STORED_FEEDBACK, ledger.feedback)
    _compare_answers(url, found, ledger.answers_given)
    flagged = set(
        _ids(url, f"SELECT DISTINCT prediction_id AS id FROM flags_v1 WHERE workload = '{WORKLOAD}'")
    )
    doubted = (name for name, n in ledger.predictions.items() if is_doubted(n))
    found.unflagged = [name for name in doubted if name not in flagged]
    return found


def _compare_one(
    url: str, found: Comparison, table: str, id_column: str, view_sql: str, acknowledged: Mapping[str, int]
) -> None:
    stored = set(_ids(url, f"SELECT DISTINCT {id_column} AS id FROM {table} WHERE workload = '{WORKLOAD}'"))
    found.stored += sum(name in stored for name in acknowledged)
    seen: dict[str, int] = {}
    contents: Counter[int] = Counter()
    for share in range(SHARES):
        rows = asked(url, f"SELECT * FROM ({view_sql}) WHERE cityHash64(id) % {SHARES} = {share} FORMAT TSV")
        for row in rows.splitlines():
            name, number, is_right = row.split("\t")
            n = int(number)
            if name in seen:
                found.visible_twice += 1
            else:
                contents[n] += 1
            seen[name] = n
            if is_right not in ("1", "true") or acknowledged.get(name, n) != n:
                found.wrong.append(name)
    found.visible += sum(name in seen for name in acknowledged)
    found.visible_twice += sum(count - 1 for count in contents.values())
    found.missing += [name for name in acknowledged if name not in seen]


def _compare_answers(url: str, found: Comparison, given: Mapping[str, tuple[str, str]]) -> None:
    sql = f"SELECT prediction_id, input, answer FROM predictions_v1 WHERE workload = '{ANSWERS}' FORMAT TSV"
    rows = [row.split("\t") for row in asked(url, sql).splitlines()]
    seen = {name: (text, answer) for name, text, answer in rows}
    found.stored += sum(name in seen for name in given)
    found.visible += sum(name in seen for name in given)
    found.visible_twice += len(rows) - len({text for _, text, _ in rows})
    found.wrong += [name for name, said in given.items() if seen.get(name, said) != said]
    found.missing += [name for name in given if name not in seen]


def _ids(url: str, sql: str) -> Iterable[str]:
    for share in range(SHARES):
        answer = asked(url, f"SELECT id FROM ({sql}) WHERE cityHash64(id) % {SHARES} = {share} FORMAT TSV")
        yield from answer.splitlines()


def stories(kafka: str, missing: list[str], ledger: Ledger, last: Sight | None) -> list[str]:
    """Of the first that are missing: how they were acknowledged and where on Kafka they stand."""
    wanted = set(missing[:STORIES])
    places = _found_on_kafka(kafka, wanted)
    told: list[str] = []
    for name in sorted(wanted):
        where = places.get(name, ["on no topic"])
        committed = "" if last is None else f"; committed {dict(last.committed)}"
        told.append(f"{name}: {ledger.how.get(name, 'by the producer')}; {', '.join(where)}{committed}")
    return told


def _found_on_kafka(kafka: str, wanted: set[str]) -> dict[str, list[str]]:
    """Reads the topics and their dead letters from the start."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "story", "enable.partition.eof": False})
    known = consumer.list_topics(timeout=10).topics
    names = [name for topic in TOPICS for name in (topic.name, topic.dead_letters) if name in known]
    places = [TopicPartition(name, number, 0) for name in names for number in known[name].partitions]
    left = sum(consumer.get_watermark_offsets(place, timeout=10)[1] for place in places)
    consumer.assign(places)
    found: dict[str, list[str]] = {}
    until = time.monotonic() + READ_SECONDS
    while left > 0 and time.monotonic() < until:
        for message in consumer.consume(5000, 1.0):
            left -= 1
            value = message.value() or b""
            if not any(name.encode() in value for name in wanted):
                continue
            try:
                line = json.loads(value)
            except ValueError:
                continue
            name = line.get("feedback_id") or line.get("prediction_id")
            if name in wanted:
                place = f"{message.topic()}/{message.partition()}@{message.offset()}"
                reason = dict(message.headers() or ()).get("dead_letter_reason")
                found.setdefault(name, []).append(f"{place} ({reason.decode()})" if reason else place)
    consumer.close()
    return found
