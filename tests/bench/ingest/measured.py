"""How a process that measured itself says so, and how it is asked."""

from __future__ import annotations

import subprocess
import sys

from tests.servers.model import ROOT

SECONDS = 300


def said(cpu_seconds: float, events: int) -> None:
    """The last line: microseconds of CPU time per event."""
    print(f"{1e6 * cpu_seconds / events:.3f}")


def measured(module: str, *arguments: str) -> float:
    """What the last line of `python -m tests.bench.ingest.MODULE …` says."""
    command = [sys.executable, "-m", f"tests.bench.ingest.{module}", *arguments]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=SECONDS, check=True)
    return float(done.stdout.splitlines()[-1])
