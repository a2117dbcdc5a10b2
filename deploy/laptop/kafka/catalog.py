"""What the broker knows besides records, in SQLite: topics, settings, committed offsets, log starts.

WAL mode: a killed process loses nothing that was committed. A power failure takes the last moments, unless
`fsync` is asked for; even then offsets are not synced, because reading a few records again is harmless.
"""

import json
import sqlite3
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_SCHEMA = """
pragma journal_mode = wal;
pragma synchronous = normal;
create table if not exists topic (
    id integer primary key autoincrement, name text not null unique,
    partitions integer not null, config text not null
);
create table if not exists log_start (
    topic_id integer not null, partition integer not null, first_offset integer not null,
    primary key (topic_id, partition)
);
create table if not exists committed_offset (
    group_id text not null, topic text not null, partition integer not null,
    next_offset integer not null, metadata text not null,
    primary key (group_id, topic, partition)
);
create table if not exists fact (name text primary key, value not null);
insert or ignore into fact values ('producer_id', 1000);
"""


@dataclass(frozen=True)
class TopicRow:
    """`id` is never used again, so that a topic made anew cannot find an old one's records or offsets."""

    id: int
    name: str
    partitions: int
    config: Mapping[str, str]


@dataclass(frozen=True)
class Commit:
    """The next offset that a group wants to read of one partition."""

    topic: str
    partition: int
    next_offset: int
    metadata: str


class Catalog:
    """Every method is one transaction: done when it returns, undone if it raises."""

    def __init__(self, path: Path, *, fsync: bool = False) -> None:
        self._db = sqlite3.connect(path)
        self._db.executescript(_SCHEMA)
        self._fsync = fsync
        if fsync:
            self._db.execute("pragma synchronous = full")
        with self._db:
            self._db.execute("insert or ignore into fact values ('cluster_id', ?)", (uuid.uuid4().hex[:22],))

    def close(self) -> None:
        self._db.close()

    def cluster_id(self) -> str:
        return str(self._db.execute("select value from fact where name = 'cluster_id'").fetchone()[0])

    def next_producer_id(self) -> int:
        """A number that no other producer of this data folder has had."""
        with self._db:
            row = self._db.execute(
                "update fact set value = value + 1 where name = 'producer_id' returning value"
            ).fetchone()
        return int(row[0])

    def topics(self) -> list[TopicRow]:
        rows = self._db.execute("select id, name, partitions, config from topic order by name")
        return [TopicRow(id, name, partitions, json.loads(config)) for id, name, partitions, config in rows]

    def add_topic(self, name: str, partitions: int, config: Mapping[str, str]) -> TopicRow:
        with self._db:
            added = self._db.execute(
                "insert into topic (name, partitions, config) values (?, ?, ?) returning id",
                (name, partitions, json.dumps(config)),
            ).fetchone()
        return TopicRow(int(added[0]), name, partitions, config)

    def change_topic(self, topic: TopicRow) -> None:
        with self._db:
            self._db.execute(
                "update topic set partitions = ?, config = ? where id = ?",
                (topic.partitions, json.dumps(topic.config), topic.id),
            )

    def delete_topic(self, topic: TopicRow) -> None:
        """The topic with its log starts and every group's offsets in it."""
        with self._db:
            self._db.execute("delete from topic where id = ?", (topic.id,))
            self._db.execute("delete from log_start where topic_id = ?", (topic.id,))
            self._db.execute("delete from committed_offset where topic = ?", (topic.name,))

    def log_start(self, topic: TopicRow, partition: int) -> int:
        row = self._db.execute(
            "select first_offset from log_start where topic_id = ? and partition = ?", (topic.id, partition)
        ).fetchone()
        return int(row[0]) if row else 0

    def set_log_start(self, topic: TopicRow, partition: int, offset: int) -> None:
        with self._db:
            self._db.execute(
                "insert or replace into log_start values (?, ?, ?)", (topic.id, partition, offset)
            )

    def commit(self, group_id: str, commits: Iterable[Commit]) -> None:
        if self._fsync:
            self._db.execute("pragma synchronous = normal")
        with self._db:
            self._db.executemany(
                "insert or replace into committed_offset values (?, ?, ?, ?, ?)",
                [(group_id, each.topic, each.partition, each.next_offset, each.metadata) for each in commits],
            )
        if self._fsync:
            self._db.execute("pragma synchronous = full")

    def committed(self, group_id: str) -> list[Commit]:
        rows = self._db.execute(
            "select topic, partition, next_offset, metadata from committed_offset where group_id = ?"
            " order by topic, partition",
            (group_id,),
        )
        return [Commit(*row) for row in rows]

    def groups_with_offsets(self) -> list[str]:
        return [
            row[0] for row in self._db.execute("select distinct group_id from committed_offset order by 1")
        ]

    def forget_group(self, group_id: str) -> None:
        with self._db:
            self._db.execute("delete from committed_offset where group_id = ?", (group_id,))
