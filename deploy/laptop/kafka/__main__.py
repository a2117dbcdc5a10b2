"""`python -m deploy.laptop.kafka --port N --data FOLDER`: the embedded broker in the foreground."""

import argparse
import asyncio
import ipaddress
import logging
import os
import resource
import signal
import sqlite3
import sys
import threading
from pathlib import Path

from deploy.laptop.kafka.broker import Broker, FolderInUse
from shared.loopback import NAME, CannotListen, bound_sockets


class Refused(Exception):
    """The broker will not start; the message says why and what to do."""


def loopback(host: str) -> str:
    """The host to listen on. Raises Refused for one that others could reach: no access control here."""
    try:
        if host == NAME or ipaddress.ip_address(host).is_loopback:
            return host
    except ValueError:
        pass  # a name: it may resolve to anything
    raise Refused(
        f"--host {host}: this broker has no access control and listens on loopback only "
        "(localhost, 127.0.0.1 or ::1); for other machines run Apache Kafka"
    )


async def serve(host: str, port: int, folder: Path, *, stop_with_stdin: bool, fsync: bool) -> None:
    """Until SIGTERM or SIGINT, or the end of standard input if asked. Raises Refused."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stop.set)
    try:
        broker = Broker(folder, fsync=fsync)
        address, bound = await broker.start(bound_sockets(host, port))
    except (CannotListen, FolderInUse, sqlite3.DatabaseError, OSError) as problem:
        raise Refused(str(problem)) from problem
    if stop_with_stdin:
        threading.Thread(target=_await_end_of_stdin, args=(loop, stop), daemon=True).start()
    shown = f"[{address}]" if ":" in address else address
    print(f"Kafka-protocol broker ready on {shown}:{bound}, data in {folder}", flush=True)
    stopped, failed = asyncio.create_task(stop.wait()), asyncio.create_task(broker.disk_failure())
    await asyncio.wait([stopped, failed], return_when=asyncio.FIRST_COMPLETED)
    if failed.done():  # not stopped in order: a last checkpoint would vouch for what the disk may not have
        raise Refused(
            f"the disk did not keep what was written to {folder}: {failed.result()}. Nothing of it was "
            "acknowledged; the next start looks at what is there"
        )
    failed.cancel()
    await broker.stop()


def _await_end_of_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    while os.read(0, 4096):
        pass
    loop.call_soon_threadsafe(stop.set)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.laptop.kafka", description=__doc__)
    parser.add_argument("--host", default=NAME, help="a loopback address; localhost is all of them")
    parser.add_argument("--port", type=int, required=True, help="0 takes a free one and prints it")
    parser.add_argument("--data", type=Path, required=True, help="folder, made if missing")
    parser.add_argument(
        "--fsync",
        action="store_true",
        help="acknowledge records when they are on the disk, so that they survive a power failure; "
        "one sync serves all that wait",
    )
    parser.add_argument("--stop-with-stdin", action="store_true", help="stop when standard input ends")
    asked = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # every partition keeps a file open
    try:
        asyncio.run(
            serve(
                loopback(asked.host),
                asked.port,
                asked.data,
                stop_with_stdin=asked.stop_with_stdin,
                fsync=asked.fsync,
            )
        )
    except Refused as refusal:
        print(f"error: {refusal}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
