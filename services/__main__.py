"""`python -m services NAME… [--host H …] [--port P]`: runs services against the four addresses."""

from __future__ import annotations

import argparse
import logging
import os
import sys

import uvloop

from services.console.settings import CannotUseOidc
from services.run import run
from shared.adapters.signature import CannotUseKeys
from shared.addresses import Addresses
from shared.clickhouse import CannotUseClickHouse
from shared.files import CannotUseFiles
from shared.flow import FLOW
from shared.http_doors.tracebacks import once_per_minute
from shared.http_tls import CannotUseTls
from shared.jobs.gpus import TooFewGpus
from shared.kafka import CannotUseKafka
from shared.loopback import NAME, CannotListen, no_proxy_for_loopback
from shared.migrations import CannotMigrate

REFUSALS = (
    CannotListen,
    CannotMigrate,
    CannotUseClickHouse,
    CannotUseFiles,
    CannotUseKafka,
    CannotUseKeys,
    CannotUseOidc,
    CannotUseTls,
    TooFewGpus,
)
"""What waiting would not help. Each says in one line what to do."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m services", description=__doc__)
    parser.add_argument("names", nargs="+", choices=sorted(FLOW), metavar="NAME", help=", ".join(FLOW))
    parser.add_argument(
        "--host",
        action="append",
        help="localhost, IPv4's and IPv6's loopback, is the default; repeat it for more addresses",
    )
    parser.add_argument("--port", type=int, default=8080)
    arguments = parser.parse_args()
    logging.basicConfig(
        level=os.environ.get("LOG_LEVEL", "INFO").upper(),
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        stream=sys.stderr,
    )
    once_per_minute()
    # FastStream repeats what we log in our words.
    logging.getLogger("faststream").setLevel(logging.CRITICAL)
    logging.getLogger("kafka").setLevel(logging.WARNING)
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # it logs each request
    os.environ.update(no_proxy_for_loopback(os.environ))
    try:
        uvloop.run(run(arguments.names, Addresses(), arguments.host or [NAME], arguments.port))
    except REFUSALS as refusal:
        print(refusal, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
