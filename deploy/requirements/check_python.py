"""`python check_python.py COMMAND`: whether this Python can be set up with; if not, the command that can.

It runs before anything is installed and on whatever Python is there, so it keeps to what 3.7 knows.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

LEAST, MOST = (3, 11), (3, 13)  # what pyproject.toml says, held by a test
CAN_MAKE_VENVS = "import venv, ensurepip"


def complaint(version: tuple[int, int], can_make_venvs: bool, command: str, others: Sequence[str]) -> str:
    """What is wrong with this Python and the command that helps; empty if nothing is.

    `others` are the interpreters of this machine that would do, the best first.
    """
    if LEAST <= version <= MOST and can_make_venvs:
        return ""
    if LEAST <= version <= MOST:
        python = f"python{_said(version)}"
        wrong = f"This {python} lacks its venv module (on Debian: apt install {python}-venv)"
    else:
        fitting = f"{_said(LEAST)} to {_said(MOST)}"
        wrong = f"tuneloop's packages are built for Python {fitting}, and this is {_said(version)}"
    if others:
        return f"{wrong}. Choose another: {command} PYTHON={others[0]}"
    ask_for = f"{command} PYTHON=python{_said(MOST)}"
    return f"{wrong}. Install one (from your distribution, uv or pyenv), then: {ask_for}"


def others_here() -> list[str]:
    """Fitting interpreters on the path that start and can make a virtual environment, the newest first."""
    names = [f"python3.{minor}" for minor in range(MOST[1], LEAST[1] - 1, -1)]
    return [name for name in names if shutil.which(name) and _starts(name)]


def _starts(name: str) -> bool:
    # A shim of pyenv is on the path even where its version is not chosen.
    with open(os.devnull, "w") as nowhere:
        return subprocess.call([name, "-c", CAN_MAKE_VENVS], stdout=nowhere, stderr=nowhere) == 0


def _said(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def main() -> int:
    version = (sys.version_info[0], sys.version_info[1])
    is_of_venv = sys.prefix != sys.base_prefix
    can_make_venvs = is_of_venv or importlib.util.find_spec("ensurepip") is not None
    command = sys.argv[1]
    if is_of_venv:  # made before with a Python that does not do; another is chosen only when it is gone
        command = f"rm -rf {os.path.relpath(sys.prefix)} && {command}"
    if not complaint(version, can_make_venvs, command, []):
        return 0
    print(complaint(version, can_make_venvs, command, others_here()), file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
