"""How much of the model server and of the reviewers the shadow may take."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Environment: SHADOW_DEPLOYMENT_CONCURRENCY and so on."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_prefix="SHADOW_DEPLOYMENT_")

    concurrency: Annotated[int, Field(ge=1)] = 4
    """Requests of the shadow that the model server has at once."""
    batch: Annotated[int, Field(ge=1)] = 16
    """Pairs that are recorded together."""
    rest_per_work: Annotated[float, Field(ge=0)] = 1.0
    """Seconds of rest for each second of scoring, so that live traffic goes first."""
    poll_seconds: Annotated[float, Field(gt=0)] = 1.0
    """How often to look for new requests of a workload that has a candidate, when there was nothing to do."""
    most_waiting: Annotated[int, Field(ge=1)] = 12
    """No new pairs while so many that differ wait for review: a verdict needs the reviews of early pairs, and
    where reviewers take waiting ones in no order, a long queue costs many reviews (see tests/bench)."""
    review_patience_seconds: Annotated[float, Field(gt=0)] = 600.0
    """A pair not reviewed for so long, disputed perhaps, holds new ones back no longer."""
    signing_key: str = ""
    """The private key of retraining, where adapters are signed and champions of version 0.1 or 0.2 have still
    to get their contract. It may be taken away once the shadow has started."""
