"""`python -m deploy.laptop.clickhouse --port N --data FOLDER --password-file FILE [--stop-with-stdin]`"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

from deploy.laptop.clickhouse.configuration import config_xml
from deploy.laptop.clickhouse.engine import serve
from deploy.laptop.clickhouse.users import ensure_passwords, users_xml
from deploy.laptop.folder_lock import FolderInUse, lock_folder
from deploy.laptop.ports import is_taken
from shared.files import write_secret
from shared.loopback import loopback_addresses

STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.laptop.clickhouse")
    parser.add_argument("--port", type=int, required=True, help="of loopback")
    parser.add_argument("--data", type=Path, required=True, help="folder, made if missing")
    parser.add_argument("--password-file", type=Path, required=True, help="made if missing, readable by you")
    parser.add_argument("--stop-with-stdin", action="store_true", help="stop when standard input ends")
    asked = parser.parse_args()
    folder, port = asked.data.resolve(), asked.port
    try:
        lock = lock_folder(folder)
    except FolderInUse as refusal:
        return refuse(f"{refusal}: stop that one, or choose another --data")
    if is_taken(port):  # the engine would find out only after it has opened every table
        return refuse(f"port {port} is taken: stop what listens there, or choose another --port")
    passwords = ensure_passwords(asked.password_file.resolve())
    write_secret(folder / "users.xml", users_xml(passwords))
    write_secret(folder / "config.xml", config_xml(folder, port, loopback_addresses(), passwords))

    # The engine keeps the main thread inside C++, where Python handles no signal: a thread waits for them.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    threading.Thread(target=leave_when_told, name="signals", daemon=True).start()
    if asked.stop_with_stdin:
        threading.Thread(target=leave_with_stdin, name="stdin", daemon=True).start()
    with lock:
        serve(folder)
    return refuse(f"ClickHouse does not run: the reason stands above and in {folder}/error.log")


def refuse(reason: str) -> int:
    print(reason, file=sys.stderr, flush=True)
    return 2


def leave_when_told() -> None:
    signal.sigwait(STOP_SIGNALS)
    leave()


def leave_with_stdin() -> None:
    while os.read(0, 4096):  # not sys.stdin, whose lock would abort the interpreter at its end
        pass
    leave()


def leave() -> None:
    """At once: what was acknowledged is in its files, and a clean stop would wait for open connections."""
    os._exit(0)


if __name__ == "__main__":
    os._exit(main())  # the engine's threads do not survive a tidy end of the interpreter
