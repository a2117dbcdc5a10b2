"""What an operator may set for this service."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Read from the environment, by these names in upper case after FAILURE_CLUSTERING_."""

    model_config = SettingsConfigDict(env_prefix="FAILURE_CLUSTERING_", frozen=True)

    jobs_at_once: Annotated[int, Field(ge=1)] = 2
    """Cycles whose failures are clustered at the same time, each in a process with an encoder of its own."""
    clustering_deadline_seconds: Annotated[float, Field(gt=0)] = 2 * 3600
    """A clustering that takes longer is stopped; its cycle goes on without clusters."""
