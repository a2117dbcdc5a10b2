"""Writes the contract of every published view: its owner, and its columns with their types.

`python -m deploy.view_contracts` migrates every service in a ClickHouse of its own and writes what the views
then have to `shared/contracts/views/`. A test holds these files against the SQL, so that a change of a view
shows in review. Columns of a published view are only ever added.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from deploy.laptop.clickhouse.users import ensure_passwords
from deploy.laptop.ports import any_free_port
from shared.clickhouse import ClickHouse, connect
from shared.flow import FLOW
from shared.migrations import migrate

ROOT = Path(__file__).parent.parent
CONTRACTS = ROOT / "shared" / "contracts" / "views"
PUBLISHED = re.compile(r"CREATE OR REPLACE VIEW (\w+)")


def views_of(service: str) -> list[str]:
    """The views a service publishes, in the order of its `views.sql`."""
    written = files(f"services.{service}") / "views.sql"
    return PUBLISHED.findall(written.read_text("utf-8")) if written.is_file() else []


async def contracts(clickhouse: ClickHouse) -> dict[Path, str]:
    """Every contract's path and content, from views made in this database."""
    made = {}
    for owner in FLOW:
        await migrate(clickhouse, owner)
        for view in views_of(owner):
            columns = await clickhouse.rows(
                "SELECT name, type FROM system.columns WHERE database = currentDatabase() "
                "AND table = {view:String} ORDER BY position",
                view=view,
            )
            contract = {
                "view": view,
                "owner": owner,
                "columns": {row["name"]: row["type"] for row in columns},
            }
            made[CONTRACTS / f"{view}.json"] = json.dumps(contract, indent=2) + "\n"
    return made


async def write(url: str) -> list[str]:
    """Writes the contracts, removes those of views that are gone, and gives the names of what changed."""
    clickhouse = await connect(url, patience_seconds=60)
    try:
        wanted = await contracts(clickhouse)
    finally:
        await clickhouse.close()
    CONTRACTS.mkdir(exist_ok=True)
    gone = set(CONTRACTS.glob("*.json")) - set(wanted)
    changed = [
        path for path, content in wanted.items() if not path.exists() or path.read_text("utf-8") != content
    ]
    for path in gone:
        path.unlink()
    for path in changed:
        path.write_text(wanted[path], "utf-8")
    return sorted(path.name for path in [*changed, *gone])


@contextmanager
def own_clickhouse() -> Iterator[str]:
    """The address of a server that is gone at the end, with all it held."""
    with tempfile.TemporaryDirectory() as folder:
        port, passwords = any_free_port(), Path(folder, "passwords.json")
        command = [sys.executable, "-m", "deploy.laptop.clickhouse", "--port", str(port), "--stop-with-stdin"]
        command += ["--data", f"{folder}/clickhouse", "--password-file", str(passwords)]
        password = ensure_passwords(passwords).tuneloop
        server = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            yield f"http://tuneloop:{password}@127.0.0.1:{port}/tuneloop"
        finally:
            server.communicate(timeout=30)


def main() -> int:
    with own_clickhouse() as url:
        changed = asyncio.run(write(url))
    print(f"Written: {', '.join(changed)}." if changed else "The contracts of views are up to date.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
