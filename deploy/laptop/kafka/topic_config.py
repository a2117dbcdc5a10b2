"""Topic settings: which exist, what they default to, and which values this broker can honour."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

NUMBERS = {
    "retention.ms": 7 * 24 * 3600 * 1000,
    "retention.bytes": -1,
    "segment.bytes": 64 << 20,
    "segment.ms": 7 * 24 * 3600 * 1000,
    "max.message.bytes": 1_048_588,
}
FIXED = {
    "cleanup.policy": "delete",
    "compression.type": "producer",
    "min.insync.replicas": "1",
}
TIMESTAMP_TYPE = "message.timestamp.type"
CREATE_TIME, LOG_APPEND_TIME = "CreateTime", "LogAppendTime"
DEFAULTS: Mapping[str, str] = (
    {name: str(number) for name, number in NUMBERS.items()} | FIXED | {TIMESTAMP_TYPE: CREATE_TIME}
)


class InvalidConfig(ValueError):
    """A setting is unknown, or asks for what this broker does not do."""


@dataclass(frozen=True)
class TopicConfig:
    """What the log needs to know; -1 means without limit, `max_message_bytes` counts a whole batch."""

    retention_ms: int
    retention_bytes: int
    segment_bytes: int
    segment_ms: int
    max_message_bytes: int
    stamps_append_time: bool
    """Do records have the time when the broker took them, instead of their producer's?"""

    @classmethod
    def of(cls, overrides: Mapping[str, str]) -> Self:
        """Defaults with a topic's own settings laid over; raises InvalidConfig."""
        numbers, timestamp_type = dict(NUMBERS), CREATE_TIME
        for name, value in overrides.items():
            if name in FIXED:
                if value != FIXED[name]:
                    raise InvalidConfig(f"{name}={value} is not offered here, only {FIXED[name]}")
            elif name == TIMESTAMP_TYPE:
                if value not in (CREATE_TIME, LOG_APPEND_TIME):
                    raise InvalidConfig(f"{name} is {CREATE_TIME} or {LOG_APPEND_TIME}, not {value!r}")
                timestamp_type = value
            elif name not in NUMBERS:
                raise InvalidConfig(f"{name} is not offered here; there are {', '.join(sorted(DEFAULTS))}")
            else:
                numbers[name] = _number(name, value)
        return cls(
            **{name.replace(".", "_"): number for name, number in numbers.items()},
            stamps_append_time=timestamp_type == LOG_APPEND_TIME,
        )


def _number(name: str, value: str) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        raise InvalidConfig(f"{name} wants a whole number, not {value!r}") from None
    lowest = -1 if name.startswith("retention") else 1
    if number < lowest:
        raise InvalidConfig(f"{name}={number} is below {lowest}")
    return number
