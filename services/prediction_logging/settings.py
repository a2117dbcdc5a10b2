"""What an operator may set, as PREDICTION_LOGGING_… in the environment."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(frozen=True, env_prefix="PREDICTION_LOGGING_")

    body_most_bytes: int = Field(default=8 << 20, ge=1)
    """A whole request to the intake, before and after inflation."""
    body_seconds: float = Field(default=60.0, gt=0)
    """How long a whole request may take to come in."""
    most_predictions: int = Field(default=10_000, ge=1)
    """Lines in one request. More would hold up the requests beside it."""
    publish_timeout_seconds: float = Field(default=3.0, gt=0)
    """How long a request waits for Kafka before its events go to the outbox on disk. Many apps wait 5 s."""
    outbox_most_bytes: int = Field(default=1 << 30, ge=1)
    """What may wait for Kafka on the disk. Past it requests are answered 503."""
    remembered_ids: int = Field(default=400_000, ge=2)
    """Ids of the last day of which this process knows the content, for 160 bytes each. Another content under
    one of them is refused at once; what is not known here any more is found by the hourly audit."""
    audit_seconds: float = Field(default=3600.0, gt=0)
    """How often predictions are counted, and another content under a known id is looked for; sooner, where
    half a million arrived. What arrived in the last five minutes is left to the next time."""
