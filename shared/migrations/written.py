"""A service's migrations and views as they are written: numbered files of statements."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib.resources.abc import Traversable

NAME = re.compile(r"(\d{4})_(\w+)\.sql")
OLDEST_CODE = re.compile(r"-- oldest code beside it: (\d+(?:\.\d+)*)")
ONLY_IF = re.compile(r"-- only if (\w+)\.(\w+) exists")
VIEWS = 0
"""Views are recorded as a migration of this number. They may change; a numbered migration may not."""


@dataclass(frozen=True)
class Statement:
    sql: str
    only_if: tuple[str, str] | None = None
    """Runs only where this table has this column."""


@dataclass(frozen=True)
class Migration:
    number: int
    name: str
    oldest_code: str
    """The oldest version of the code that may still run on tables to which this was applied."""
    statements: tuple[Statement, ...]

    @property
    def digest(self) -> str:
        """Of what it does: a comment may be corrected."""
        told = "".join(f"{statement.only_if}\0{statement.sql}\0" for statement in self.statements)
        return f"sha256:{hashlib.sha256(f'{self.oldest_code}{told}'.encode()).hexdigest()}"


@dataclass(frozen=True)
class Written:
    migrations: tuple[Migration, ...]
    views: Migration

    @property
    def is_empty(self) -> bool:
        return not self.migrations and not self.views.statements


def read(folder: Traversable) -> Written:
    """What stands in a service's folder. Raises ValueError for a file that is not a numbered migration."""
    migrations: list[Migration] = []
    views: tuple[Statement, ...] = ()
    if (kept := folder / "migrations").is_dir():
        migrations = [_migration(file) for file in kept.iterdir() if file.name.endswith(".sql")]
    if (file := folder / "views.sql").is_file():
        views = statements(file.read_text("utf-8"))
    ordered = sorted(migrations, key=lambda migration: migration.number)
    if len({migration.number for migration in ordered}) < len(ordered):
        raise ValueError(f"two migrations in {kept} have the same number")
    return Written(tuple(ordered), Migration(VIEWS, "views", "", views))


def statements(sql: str) -> tuple[Statement, ...]:
    """Splits a file into its statements. Comments start a line with `--`; no string holds a semicolon."""
    found, lines = [], list[str]()
    only_if: tuple[str, str] | None = None
    for line in [*sql.splitlines(), ";"]:
        if line.lstrip().startswith("--"):
            if guard := ONLY_IF.fullmatch(line.strip()):
                only_if = (guard[1], guard[2])
            continue
        *ended, rest = line.split(";")
        for part in ended:
            if text := "\n".join([*lines, part]).strip():
                found.append(Statement(text, only_if))
                only_if = None
            lines = []
        lines.append(rest)
    return tuple(found)


def _migration(file: Traversable) -> Migration:
    named, sql = NAME.fullmatch(file.name), file.read_text("utf-8")
    oldest = OLDEST_CODE.fullmatch(sql.partition("\n")[0].strip())
    if named is None or oldest is None or int(named[1]) == VIEWS:
        raise ValueError(
            f"{file.name}: a migration is named 0002_what_it_does.sql and begins with "
            "'-- oldest code beside it: 0.2'"
        )
    return Migration(int(named[1]), named[2], oldest[1], statements(sql))
