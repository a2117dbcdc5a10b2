"""`python3.12 deploy/requirements/cuda_lock.py`: writes cuda.txt, the packages of the image for a GPU.

What lock.txt pins stays as it is; torch comes from PyPI with the CUDA libraries that it names, each package
with the hash of its wheel. Run by the image's Python on Linux x86_64, because wheels are chosen for whoever
runs it. Downloads nothing but descriptions: two minutes.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PYTHON = (3, 12)
MACHINE = "x86_64"
EXTRAS = ("retraining", "s3", "mlflow")
"""Besides the base: what deploy/Dockerfile.cuda installs."""
HEAD = """\
# What deploy/Dockerfile.cuda installs: the service retraining for an NVIDIA GPU, Python 3.12 on Linux x86_64.
# Made from pyproject.toml and lock.txt, never edited: python3.12 deploy/requirements/cuda_lock.py
"""


def wanted() -> list[str]:
    """The requirements as pyproject.toml has them."""
    project = tomllib.loads((HERE.parents[1] / "pyproject.toml").read_text("utf-8"))["project"]
    extras = (line for extra in EXTRAS for line in project["optional-dependencies"][extra])
    return [*project["dependencies"], *extras]


def lock(report: dict[str, Any]) -> str:
    """The file, from what pip would install. Raises ValueError for what is not a wheel with a sha256."""
    lines = {}
    for package in report["install"]:
        name, version = package["metadata"]["name"].lower().replace("_", "-"), package["metadata"]["version"]
        source = package["download_info"]
        digest = source.get("archive_info", {}).get("hashes", {}).get("sha256")
        if digest is None or not source["url"].endswith(".whl"):
            raise ValueError(f"{name} {version} is no wheel with a sha256: {source['url']}")
        lines[name] = f"{name}=={version} --hash=sha256:{digest}\n"
    return HEAD + "".join(line for _, line in sorted(lines.items()))


def resolved(requirements: list[str]) -> dict[str, Any]:
    """pip's report. Asks PyPI alone, whatever this machine's pip is told. Raises CalledProcessError."""
    command = [sys.executable, "-m", "pip", "--isolated", "install", "--quiet", "--dry-run"]
    command += ["--ignore-installed", "--only-binary", ":all:", "--index-url", "https://pypi.org/simple"]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command += ["--constraint", str(HERE / "lock.txt"), "--report", str(report)]
        environment = {**os.environ, "PIP_CONFIG_FILE": os.devnull}
        subprocess.run([*command, *requirements], check=True, env=environment)
        return dict(json.loads(report.read_text()))


def main() -> int:
    if sys.version_info[:2] != PYTHON or platform.machine() != MACHINE or sys.platform != "linux":
        print(f"Run this with Python {PYTHON[0]}.{PYTHON[1]} on Linux {MACHINE}.", file=sys.stderr)
        return 2
    (HERE / "cuda.txt").write_text(lock(resolved(wanted())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
