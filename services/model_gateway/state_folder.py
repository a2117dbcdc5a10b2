"""The gateway's files on its own disk, under the names they have now."""

from __future__ import annotations

from pathlib import Path

_NAMES_OF_0_1 = (
    ("journal/said.json", "journal/published.json"),
    ("journal", "outbox"),
    ("flag.json", "champion_alias.json"),
)
"""In order: what is inside a folder is renamed before the folder."""


def rename_files_of_0_1(folder: Path) -> None:
    """Gives the files of version 0.1 their present names; once done, doing it again changes nothing."""
    for old, new in _NAMES_OF_0_1:
        if (folder / old).exists() and not (folder / new).exists():
            (folder / old).rename(folder / new)
