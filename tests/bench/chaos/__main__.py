"""Kills everything while events come in, and looks for what was acknowledged.

    python -m tests.bench.chaos [--events N] [--kills K] [--broker embedded|apache] [--seed S]
        [--with-gateway] [--data FOLDER]

Ends with 1 if anything acknowledged is missing, shows twice or shows another content. The last line is one
JSON object; what it does meanwhile goes to standard error.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path

from tests.bench.chaos.run import Outcome, chaos


def report(outcome: Outcome) -> None:
    for line in outcome.lines:
        print(line)
    print(json.dumps(outcome.figures))


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.chaos", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--events", type=int, default=50_000, metavar="N")
    parser.add_argument("--kills", type=int, default=8, metavar="K")
    parser.add_argument("--broker", choices=("embedded", "apache"), default="embedded")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--with-gateway", action="store_true", help="and the model server behind it")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="kept, with every log")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tuneloop-chaos-") as folder:
        outcome = asyncio.run(
            chaos(
                asked.data or Path(folder),
                asked.events,
                asked.kills,
                asked.broker,
                asked.seed,
                with_gateway=asked.with_gateway,
            )
        )
        report(outcome)
    return 0 if outcome.is_right else 1


if __name__ == "__main__":
    sys.exit(main())
