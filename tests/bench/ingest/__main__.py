"""What an event costs from Kafka to the tables, beside peers, and how many a second go through.

    python -m tests.bench.ingest [--events N] [--rounds R] [--seconds S] [--rate R] [--rows N]

CPU time, so it may run beside other work; only the rates and the times want a quiet machine. Tables, then one
JSON object on the last line; what it does meanwhile goes to standard error.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from tests.bench.ingest.run import ingest


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.ingest",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--events", type=int, default=60_000, metavar="N", help="that each consumer reads")
    parser.add_argument("--rounds", type=int, default=3, metavar="R", help="of the consumers in turn")
    parser.add_argument("--seconds", type=float, default=60, metavar="S", help="that a rate is held")
    parser.add_argument("--rate", type=float, metavar="R", help="one rate, in place of the highest held")
    parser.add_argument("--rows", type=int, default=400_000, metavar="N", help="put into ClickHouse alone")
    asked = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])  # and so for all that is started from here
    with tempfile.TemporaryDirectory(prefix="tuneloop-ingest-") as folder:
        figures = ingest(
            Path(folder), asked.events, asked.rounds, asked.seconds, asked.rate, asked.rows, _say
        )
    print(json.dumps(figures))


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
