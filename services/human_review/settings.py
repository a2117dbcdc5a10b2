"""What an operator may set for this service."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Read from the environment, by these names in upper case after HUMAN_REVIEW_."""

    model_config = SettingsConfigDict(env_prefix="HUMAN_REVIEW_", frozen=True)

    claim_seconds: float = Field(default=600.0, gt=0)
    """How long an item shown to one reviewer is kept from the others."""
    most_claims: int = Field(default=12, ge=1)
    """How many items that they have not judged one principal keeps from others, of one workload. Without keys
    all reviewers are one principal."""
    look_ahead: int = 64
    """Open items read ahead for each reviewer at work."""
    refresh_seconds: float = Field(default=1.0, ge=0)
    """How old the look-ahead may be: so long a new pair may wait behind what is queued already."""
    accept_seconds: float = Field(default=10.0, gt=0)
    """How long a review over HTTP may wait for Kafka to confirm it before it is answered with 503."""
    join_seconds: float = Field(default=5.0, gt=0)
    """How often reviews whose prediction was not logged yet are tried again, for a day."""
