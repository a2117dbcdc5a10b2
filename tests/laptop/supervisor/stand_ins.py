"""Small programs in the place of servers, and a supervisor of three of them as a process of its own.

`python -m tests.laptop.supervisor.stand_ins FOLDER` prints the children's process ids as JSON when all are
ready, and runs until it is stopped.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from deploy.laptop.folder_lock import lock_folder
from deploy.laptop.supervisor import Child, Supervisor

SERVER = """
import pathlib, sys
folder, name = pathlib.Path(sys.argv[1]), sys.argv[2]
if (folder / f"{name}.broken").exists(): sys.exit("it is broken")
print(name, "starts", flush=True)
(folder / f"{name}.ready").touch()
sys.stdin.read()
with (folder / "stopped").open("a") as order: print(name, file=order)
"""
SERVICE = """
import pathlib, signal, sys
folder, name = pathlib.Path(sys.argv[1]), sys.argv[2]
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
print(name, "starts", flush=True)
(folder / f"{name}.ready").touch()
signal.sigwait({signal.SIGTERM})
with (folder / "stopped").open("a") as order: print(name, file=order)
"""
BROKEN = """
import sys
print("the tables are damaged: restore them from yesterday")
sys.exit(3)
"""


def server(folder: Path, name: str) -> Child:
    """Stops with its standard input, as Kafka and ClickHouse do. A file NAME.broken lets it fail at once."""
    return _child(folder, name, SERVER, stops_with_stdin=True)


def service(folder: Path, name: str) -> Child:
    """Stops on SIGTERM, as `python -m services` does."""
    return _child(folder, name, SERVICE, stops_with_stdin=False)


def broken(folder: Path, name: str) -> Child:
    """Ends at once with a reason."""
    return _child(folder, name, BROKEN, stops_with_stdin=False)


def _child(folder: Path, name: str, program: str, *, stops_with_stdin: bool) -> Child:
    command = [sys.executable, "-c", program, str(folder), name]
    return Child(name, command, _is_there(folder / f"{name}.ready"), stops_with_stdin=stops_with_stdin)


def _is_there(file: Path) -> Callable[[], Awaitable[bool]]:
    def taken() -> bool:
        there = file.exists()
        file.unlink(missing_ok=True)  # the next start has to be ready anew
        return there

    async def is_ready() -> bool:
        return taken()

    return is_ready


async def main(folder: Path) -> None:
    with lock_folder(folder, "held") as held:
        supervisor = Supervisor(folder / "logs", held, lambda name, words: None)
        try:
            for child in (server(folder, "first"), server(folder, "second"), service(folder, "third")):
                await supervisor.start(child)
            print(json.dumps(supervisor.pids()), flush=True)
            await asyncio.get_running_loop().create_future()
        finally:
            await supervisor.stop()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
