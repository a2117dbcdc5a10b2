"""The broker's topics: each a row in the catalog and a folder of partition logs."""

import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from deploy.laptop.kafka.catalog import Catalog, TopicRow
from deploy.laptop.kafka.disk import Disk
from deploy.laptop.kafka.log import PartitionLog
from deploy.laptop.kafka.topic_config import TopicConfig

_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")


class InvalidTopicName(ValueError):
    """Kafka allows letters, digits, '.', '_' and '-', at most 249 of them, and neither '.' nor '..' alone."""


@dataclass
class Topic:
    row: TopicRow
    logs: list[PartitionLog]


class Topics:
    """All topics of one data folder. The catalog says what exists; folders it does not know are leftovers."""

    def __init__(self, folder: Path, catalog: Catalog, disk: Disk) -> None:
        self._folder = folder
        self._disk = disk
        self._catalog = catalog
        self._topics: dict[str, Topic] = {}
        folder.mkdir(parents=True, exist_ok=True)
        rows = catalog.topics()
        known = {self._path(row).name for row in rows}
        for leftover in folder.iterdir():  # a kill between the catalog's delete and the folder's
            if leftover.name not in known:
                shutil.rmtree(leftover)
        for row in rows:
            self._topics[row.name] = Topic(row, [self._open(row, index) for index in range(row.partitions)])

    def __iter__(self) -> Iterator[Topic]:
        return iter(tuple(self._topics.values()))

    def get(self, name: str) -> Topic | None:
        return self._topics.get(name)

    def log(self, name: str, partition: int) -> PartitionLog | None:
        topic = self._topics.get(name)
        if topic is None or not 0 <= partition < len(topic.logs):
            return None
        return topic.logs[partition]

    def check_name(self, name: str) -> None:
        """Raises InvalidTopicName."""
        if not _NAME.fullmatch(name) or name in (".", ".."):
            raise InvalidTopicName(
                f"{name!r} is no topic name: letters, digits, '.', '_' and '-', at most 249"
            )

    def create(self, name: str, partitions: int, config: Mapping[str, str]) -> Topic:
        """Raises InvalidTopicName or InvalidConfig; the caller has seen that the name is free."""
        self.check_name(name)
        TopicConfig.of(config)
        row = self._catalog.add_topic(name, partitions, dict(config))
        try:
            logs = [self._open(row, index) for index in range(partitions)]
        except OSError:
            self._catalog.delete_topic(row)
            raise
        topic = self._topics[name] = Topic(row, logs)
        return topic

    def grow(self, topic: Topic, partitions: int) -> None:
        added = [self._open(topic.row, index) for index in range(len(topic.logs), partitions)]
        grown = replace(topic.row, partitions=partitions)
        self._catalog.change_topic(grown)
        topic.row, topic.logs = grown, topic.logs + added

    def configure(self, topic: Topic, config: Mapping[str, str]) -> None:
        """Replace a topic's own settings; raises InvalidConfig."""
        effective = TopicConfig.of(config)
        changed = replace(topic.row, config=dict(config))
        self._catalog.change_topic(changed)
        topic.row = changed
        for log in topic.logs:
            log.config = effective

    def delete(self, topic: Topic) -> None:
        self._catalog.delete_topic(topic.row)
        del self._topics[topic.row.name]
        for log in topic.logs:
            log.wake()  # a waiting fetch learns that the topic is gone
        self._disk.later(partial(shutil.rmtree, self._path(topic.row)))

    def delete_records(self, topic: Topic, partition: int, before: int) -> None:
        """Remembered before it is done: after a kill in between no deleted record is seen again."""
        self._catalog.set_log_start(topic.row, partition, before)
        topic.logs[partition].move_start(before)

    def close(self) -> None:
        for topic in self:
            for log in topic.logs:
                log.close()

    def _path(self, row: TopicRow) -> Path:
        return self._folder / f"{row.id}-{row.name[:200]}"

    def _open(self, row: TopicRow, partition: int) -> PartitionLog:
        start = self._catalog.log_start(row, partition)
        return PartitionLog(self._path(row) / str(partition), TopicConfig.of(row.config), start, self._disk)
