from dataclasses import dataclass

import pytest

from deploy.laptop.kafka.retention import droppable, is_expired, is_full
from deploy.laptop.kafka.topic_config import InvalidConfig, TopicConfig

NOW = 1_000_000


@dataclass
class Facts:
    size: int
    max_timestamp: int = NOW
    born_ms: int = NOW


def config(**settings: int) -> TopicConfig:
    return TopicConfig.of({name.replace("_", "."): str(value) for name, value in settings.items()})


def test_old_segments_go_until_the_first_young_one() -> None:
    closed = [Facts(1, NOW - 50), Facts(1, NOW - 9), Facts(1, NOW - 50)]
    assert droppable(closed, 1, config(retention_ms=10), NOW) == 1


def test_segments_go_while_what_is_kept_without_them_still_fills_the_size() -> None:
    closed = [Facts(40), Facts(40), Facts(40)]
    assert droppable(closed, 10, config(retention_bytes=50), NOW) == 2


def test_nothing_goes_without_limits() -> None:
    closed = [Facts(1 << 40, 0)] * 3
    assert droppable(closed, 1, config(retention_ms=-1, retention_bytes=-1), NOW) == 0


def test_a_segment_is_full_by_size_or_age_but_never_empty() -> None:
    limits = config(segment_bytes=100, segment_ms=10)
    assert is_full(Facts(60), 41, limits, NOW)
    assert not is_full(Facts(60), 40, limits, NOW)
    assert is_full(Facts(60, born_ms=NOW - 11), 0, limits, NOW)
    assert not is_full(Facts(0, born_ms=0), 101, limits, NOW)


def test_an_empty_segment_does_not_expire() -> None:
    assert is_expired(Facts(1, NOW - 11), config(retention_ms=10), NOW)
    assert not is_expired(Facts(0, -1), config(retention_ms=10), NOW)


@pytest.mark.parametrize(
    "setting",
    [
        {"cleanup.policy": "compact"},
        {"cleanup.policy": "compact,delete"},
        {"min.insync.replicas": "2"},
        {"retention.ms": "-2"},
        {"segment.bytes": "0"},
        {"max.message.bytes": "much"},
        {"no.such.setting": "1"},
    ],
)
def test_a_setting_that_cannot_be_honoured_is_refused_by_its_name(setting: dict[str, str]) -> None:
    with pytest.raises(InvalidConfig, match=next(iter(setting)).replace(".", r"\.")):
        TopicConfig.of(setting)
