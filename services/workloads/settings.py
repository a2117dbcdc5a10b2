"""What an operator may set for this service."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Read from the environment, by these names in upper case after WORKLOADS_."""

    model_config = SettingsConfigDict(env_prefix="WORKLOADS_", frozen=True)

    window_seconds: float = Field(default=28 * 24 * 3600, gt=0)
    """A cycle takes up the failures of predictions this old at most; older ones were in cycles before."""
    grace_seconds: float = Field(default=3.0, ge=0)
    """How long after a cutoff its lists are drawn up, so that corrections on their way still count."""
    body_most_bytes: int = Field(default=256 << 20, ge=1)
    """Of a definition with its rows as files. More rows go by URI."""
    json_most_bytes: int = Field(default=16 << 20, ge=1)
    """Of the same as JSON, which is read in memory and at one go."""
    longest_wait_seconds: float = Field(default=60.0, gt=0)
    """How long a request that follows a round is held open at most."""
    publish_seconds: float = Field(default=10.0, gt=0)
    """How long a request waits for Kafka before it is told to come again."""
