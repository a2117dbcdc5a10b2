"""What an operator may set for this service."""

from __future__ import annotations

from datetime import timedelta

from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Read from the environment, by these names in upper case after FAILURE_CLUSTERING_."""

    model_config = SettingsConfigDict(env_prefix="FAILURE_CLUSTERING_", frozen=True)

    window: timedelta = timedelta(days=28)
    """A cycle clusters the failures of predictions this old at most; older ones were clustered before."""
    grace: timedelta = timedelta(seconds=3)
    """How long after a cut its lists are drawn up, so that corrections on their way still count."""
    due_check_seconds: float = 60.0
    """How often it is asked whether a cycle is due."""
