"""What ClickHouse says that waiting does not mend, and what to change; pure."""

from __future__ import annotations

from dataclasses import dataclass

OLDEST = (25, 8)
"""The oldest server that this version is made for."""
UNKNOWN_DATABASE, UNKNOWN_USER, WRONG_PASSWORD, REQUIRED_PASSWORD, IP_NOT_ALLOWED = 81, 192, 193, 194, 195
ACCESS_DENIED, READONLY, AUTHENTICATION_FAILED = 497, 164, 516
WRONG_LOGIN = (UNKNOWN_USER, WRONG_PASSWORD, REQUIRED_PASSWORD, AUTHENTICATION_FAILED)


class CannotUseClickHouse(Exception):
    """Waiting does not help. The message says what to change."""


@dataclass(frozen=True)
class Place:
    """What CLICKHOUSE_URL names, without its password."""

    host: str
    port: int
    user: str
    database: str

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def refusal(place: Place, code: int | None) -> CannotUseClickHouse | None:
    """Why it will never answer; None for what may pass."""
    if code in WRONG_LOGIN:
        said = (
            f"ClickHouse at {place} refuses user “{place.user}”: its password is wrong, or there is no such "
            "user. Set both in CLICKHOUSE_URL, http://USER:PASSWORD@HOST:PORT/DATABASE; in it @ is written "
            "%40, / as %2F and : as %3A."
        )
    elif code == IP_NOT_ALLOWED:
        said = (
            f"ClickHouse at {place} refuses user “{place.user}” from this machine: add its address there "
            f"(ALTER USER {place.user} ADD HOST IP …)."
        )
    elif code == UNKNOWN_DATABASE:
        said = (
            f"ClickHouse at {place} has no database “{place.database}”, and “{place.user}” may not make it. "
            f"As an administrator: CREATE DATABASE {place.database}; "
            f"GRANT ALL ON {place.database}.* TO {place.user}"
        )
    else:
        return None
    return CannotUseClickHouse(said)


def too_old(place: Place, version: str) -> CannotUseClickHouse | None:
    """`version` as the server says it: 25.8.3.66."""
    parts = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if len(parts) < 2 or parts >= OLDEST:
        return None
    oldest = ".".join(map(str, OLDEST))
    return CannotUseClickHouse(
        f"ClickHouse at {place} is version {version}, and this is made for {oldest} and later. Upgrade it."
    )
