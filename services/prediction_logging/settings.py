"""What an operator may set, as PREDICTION_LOGGING_… in the environment."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(frozen=True, env_prefix="PREDICTION_LOGGING_")

    body_most_bytes: int = Field(default=8 << 20, ge=1)
    """A whole request to the intake."""
    most_predictions: int = Field(default=10_000, ge=1)
    """In one request. More would hold up the requests beside it."""
    publish_timeout_seconds: float = Field(default=10.0, gt=0)
    """How long a request waits for Kafka before it is told to come again."""
