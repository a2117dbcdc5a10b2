"""What an operator may set, as MODEL_GATEWAY_… in the environment."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(frozen=True, env_prefix="MODEL_GATEWAY_")

    answer_seconds: float = Field(default=30.0, gt=0)
    """How long the model server may take for one answer."""
    answers_at_once: int = Field(default=32, ge=1)
    """How many requests the model servers are asked at once. Of what waits beyond that, each workload has its
    turn. It fills the batches of one server; where one gateway has several, give it as much more."""
    outbox_fsync: bool = False
    """Off: a record survives the death of this process. On: of the machine too, for some 4 ms an answer."""
    outbox_segment_bytes: int = Field(default=8 << 20, ge=1)
    """Size of one file of the outbox; a file goes when Kafka has all of it."""
    outbox_most_bytes: int = Field(default=8 << 30, ge=1)
    """What may wait for Kafka on the disk."""
    outbox_when_full: Literal["answer", "refuse"] = "answer"
    """When the outbox is full or its disk refuses: answer without a record, or refuse with 507."""
    outbox_alarm_age_seconds: float = Field(default=86_400.0, gt=0)
    """When records have waited so long for Kafka, the log says so. None is ever dropped for its age."""
    outbox_drain_seconds: float = Field(default=4.0, ge=0)
    """How long a process that is told to stop goes on delivering; what is left is the next one's."""
    body_most_bytes: int = Field(default=1 << 20, ge=1)
    """A whole request, with the history of a chat; the text itself has its own limit of 64 KiB."""
    idempotency_seconds: float = Field(default=86_400.0, gt=0)
    """How long this process holds an answer for the same Idempotency-Key. After that the same key is answered
    anew, under the same id."""
    idempotency_most_bytes: int = Field(default=32 << 20, ge=0)
    """What the answers so held may take in memory, some 30,000; as much again is for clients' own retries."""
