"""The door to chdb: turns this process into a ClickHouse server."""

from __future__ import annotations

import os
from pathlib import Path

LISTEN_FOR_EVER = (
    "SYSTEM START LISTEN HTTP; "
    "SELECT sum(sleepEachRow(1)) FROM system.numbers SETTINGS max_block_size = 1, max_threads = 1 FORMAT Null"
)


def serve(folder: Path) -> None:
    """Serves the tables in `folder` by the `config.xml` there. Returns only when it cannot: then the engine
    has written the reason to standard error.

    For a process that does nothing else: the working folder changes, and Python's signal handlers are not
    called while the engine runs.
    """
    os.chdir(folder)
    from chdb import _chdb  # private, and of all ways into the engine the only one that can listen

    _chdb.query(LISTEN_FOR_EVER, "TSV", path=str(folder / "data"))  # type: ignore[attr-defined]
