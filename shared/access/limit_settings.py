"""What an operator may set about limits, as LIMIT_… in the environment."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.access.limits import Limit
from shared.access.token_bucket import TokenBucket


class LimitSettings(BaseSettings):
    """Each process counts for itself: three gateways take three times as much. 0 is no limit."""

    model_config = SettingsConfigDict(frozen=True, env_prefix="LIMIT_")

    key_requests_per_second: float = Field(default=1000.0, ge=0)
    """Requests that one key may send for long, at each process. Past it they are answered 429 with
    `Retry-After`, as past each of these limits; 0 is none. Without keys there are only those of workloads."""
    key_requests_burst: int = Field(default=4000, ge=1)
    """So many at once."""
    key_bytes_per_second: float = Field(default=64e6, ge=0)
    """Bytes of the bodies that one key sends."""
    key_bytes_burst: int = Field(default=256 << 20, ge=1)
    """So many at once."""
    key_in_flight: int = Field(default=512, ge=0)
    """Requests of one key that are under way at a time."""
    workload_requests_per_second: float = Field(default=2000.0, ge=0)
    """Requests about one workload, by whomever, at each process: for answers at a gateway, to log at the
    intake. There a request may be about many predictions, and about several workloads."""
    workload_requests_burst: int = Field(default=8000, ge=1)
    """So many at once."""
    workload_bytes_per_second: float = Field(default=64e6, ge=0)
    """Bytes of these requests; at the intake, of what they say of that workload."""
    workload_bytes_burst: int = Field(default=256 << 20, ge=1)
    """So many at once."""
    workload_in_flight: int = Field(default=512, ge=0)
    """Requests about one workload that are under way at a time. Answers of all workloads are given in turn
    (`MODEL_GATEWAY_ANSWERS_AT_ONCE`), so that many of one do not keep the others waiting."""

    @property
    def of_keys(self) -> Limit:
        return Limit(
            TokenBucket(self.key_requests_per_second, self.key_requests_burst),
            TokenBucket(self.key_bytes_per_second, self.key_bytes_burst),
            self.key_in_flight,
        )

    @property
    def of_workloads(self) -> Limit:
        return Limit(
            TokenBucket(self.workload_requests_per_second, self.workload_requests_burst),
            TokenBucket(self.workload_bytes_per_second, self.workload_bytes_burst),
            self.workload_in_flight,
        )
