"""What is printed never ends a command, whatever the locale."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.servers.model import ROOT

PRINTS = """
import sys
import deploy.cli as cli
from rich.console import Console
for file in (sys.stdout, sys.stderr):
    Console(file=file).print("61.0 % → 72.3 %, “gpl”")
"""


def test_what_a_locale_cannot_say_becomes_a_question_mark() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PRINTS],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        timeout=60,
    )
    assert (ended.returncode, ended.stdout) == (0, b"61.0 % ? 72.3 %, ?gpl?\n"), ended.stderr
    assert ended.stderr == ended.stdout
