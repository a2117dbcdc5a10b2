"""What an operator may set, as DATA_AUGMENTATION_… in the environment."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_prefix="DATA_AUGMENTATION_")

    jobs_at_once: int = Field(default=2, ge=1)
    """Datasets that are made at the same time, each in a process with a redactor of its own (some 700 MB)."""
    dataset_deadline_seconds: float = Field(default=2 * 3600, gt=0)
    """What takes longer to make is stopped and refused."""
