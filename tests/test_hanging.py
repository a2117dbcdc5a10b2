"""A test that hangs ends the run, and says which one it is and where it stands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HANGS = """
import threading
def test_first(): pass
def test_that_hangs(): threading.Event().wait()
"""


@pytest.mark.parametrize(
    "beside", [(), ("--numprocesses=2", "--dist=loadfile")], ids=["alone", "beside others"]
)
def test_a_test_that_hangs_is_ended_and_named(tmp_path: Path, beside: tuple[str, ...]) -> None:
    (tmp_path / "test_it.py").write_text(HANGS)
    options = ["-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(tmp_path)]
    options += ["-o", "faulthandler_timeout=2", *beside, str(tmp_path / "test_it.py")]
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", *options], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    said = ended.stdout + ended.stderr
    assert ended.returncode != 0
    assert "Timeout (0:00:02)!" in said
    assert 'test_it.py", line 4 in test_that_hangs' in said
