"""Which migrations are still to be applied, and whether this code may run on these tables at all."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.migrations.written import VIEWS, Migration


class CannotMigrate(Exception):
    """This code may not run on these tables. One line says why and what to do."""


@dataclass(frozen=True)
class Recorded:
    """A migration that was applied, as the database remembers it."""

    number: int
    name: str
    digest: str
    oldest_code: str
    applied_by: str


def pending(
    service: str, written: Sequence[Migration], recorded: Mapping[int, Recorded], code: str
) -> list[Migration]:
    """In order. Raises CannotMigrate for tables of newer code, and for a migration edited once applied.

    Tables that newer code migrated are no obstacle by themselves: each migration names the oldest code that
    may run beside it.
    """
    known = {migration.number for migration in written}
    ahead = [one for number, one in sorted(recorded.items()) if number != VIEWS and number not in known]
    needed = max((one.oldest_code for one in ahead), key=parsed, default="")
    if needed and parsed(code) < parsed(needed):
        newest = max((one.applied_by for one in ahead), key=parsed)
        raise CannotMigrate(
            f"tuneloop {newest} has migrated the tables of {service}, and this is tuneloop {code}: "
            f"run {needed} or newer (pip install --upgrade, or the newer image)."
        )
    for migration in written:
        applied = recorded.get(migration.number)
        if applied is not None and applied.digest != migration.digest:
            raise CannotMigrate(
                f"services/{service}/migrations/{migration.number:04}_{migration.name}.sql is not what "
                f"tuneloop {applied.applied_by} applied here: put it back as it was, and write a new one."
            )
    return [migration for migration in written if migration.number not in recorded]


def views_are_due(views: Migration, recorded: Mapping[int, Recorded], code: str) -> bool:
    """Whether they differ from those in place. Newer code's views stay: they only have more columns."""
    applied = recorded.get(VIEWS)
    if applied is None:
        return bool(views.statements)
    return applied.digest != views.digest and parsed(applied.applied_by) <= parsed(code)


def parsed(version: str) -> tuple[int, ...]:
    """0.10.2 as (0, 10, 2): versions in their order. What follows the numbers does not count."""
    return tuple(int(number) for number in re.findall(r"\d+", version.partition("-")[0])[:3])
