"""What `tuneloop up` is told: where everything lies and listens."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deploy.laptop.opening import is_beyond_loopback
from shared.http_conventions import HttpSettings


@dataclass(frozen=True)
class LaptopSettings:
    """Where everything lies and listens. Port 0 is any free one, the same again if it still is free."""

    data: Path = Path(".tuneloop")
    kafka_port: int = 9092
    clickhouse_port: int = 8123
    models_port: int = 8000
    gateway_port: int = 8080
    services_port: int = 8081
    fsync: bool = False
    """Are records acknowledged only when they would survive a power failure?"""
    host: str = ""
    """An address on which other machines reach gateway and services, too."""
    is_plain: bool = False
    """Do they speak plain HTTP there?"""
    keys_alone: bool = False
    """Is nothing started but what keeps keys?"""

    @property
    def outer_host(self) -> str:
        return self.host if is_beyond_loopback(self.host) else ""

    @property
    def http(self) -> HttpSettings:
        """How gateway and services are reached; the environment names the certificate."""
        return HttpSettings(plain=True) if self.is_plain else HttpSettings()
