"""`python install.py OPTIONS`: installs what uv.lock has, by hash, into the Python that runs it.

OPTIONS choose from the lock as `uv export` does: `--all-extras`, `--extra console`, `--only-group audit`.
torch comes first, from TORCH_INDEX where that is set: one version has several builds, and those for a CPU
need no CUDA. Nothing is built, for a build fetches and runs what no hash covers. Keeps to the standard
library, because it runs before anything is installed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
OF_CUDA = re.compile(r"(nvidia|cuda|triton)\b")
PIP = ("-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:")
EXPORT = ("--quiet", "--frozen", "--no-emit-project", "--no-annotate", "--no-header")


def requirements(export: str) -> dict[str, str]:
    """What `uv export` printed, by package: its line and the lines of its hashes.

    Raises ValueError for a package without a hash.
    """
    found = {entry.split("==")[0]: entry for entry in re.findall(r"^\S.*\n(?:[ ].*\n)*", export, re.M)}
    without = [name for name, entry in found.items() if "--hash=sha256:" not in entry]
    if without:
        raise ValueError(f"uv.lock has no hash of {', '.join(without)}: run make lock")
    return found


def of_build(torch: str, build: str, listed: str) -> str:
    """torch's requirement for one build: as the lock has it, or with the hashes that torch-cpu.txt lists.

    Raises ValueError for a build that neither knows.
    """
    if "+" not in build:
        return torch
    hashes = re.findall(rf"^([0-9a-f]{{64}})  torch-{re.escape(build)}-", listed, re.M)
    if not hashes:
        raise ValueError(
            f"No hash of torch {build} is known here, only of PyPI's builds and of those for a CPU"
        )
    return f"torch=={build}" + "".join(f" \\\n    --hash=sha256:{digest}" for digest in hashes) + "\n"


def without_cuda(wanted: dict[str, str]) -> dict[str, str]:
    """Less the libraries that torch's builds for a CPU do not ask for."""
    return {name: entry for name, entry in wanted.items() if not OF_CUDA.match(name)}


def build_taken(torch: str, *options: str) -> str:
    """The version of torch's build that this machine's pip takes of itself: `2.13.0`, or `2.13.0+cpu`."""
    version = torch.split()[0]
    command = [sys.executable, *PIP, "--ignore-installed", "--dry-run", "--report", "-", *options, version]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return str(json.loads(said)["install"][0]["metadata"]["version"])


def install(wanted: Iterable[str], *options: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "requirements.txt"
        listed.write_text("".join(wanted))
        command = [sys.executable, *PIP, "--require-hashes", *options, "-r", str(listed)]
        subprocess.run(command, check=True)


@contextmanager
def uv() -> Iterator[list[str]]:
    """The beginning of a command of uv, which reads and writes the lock; it is not kept."""
    with tempfile.TemporaryDirectory() as folder:
        install([(HERE / "uv.txt").read_text()], "--target", folder)
        yield [str(Path(folder) / "bin" / "uv"), "--directory", str(ROOT)]


def exported(program: list[str], *options: str) -> str:
    """What of the lock the options name."""
    command = [*program, "export", *EXPORT, "--python", sys.executable, *options]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def main(options: Sequence[str]) -> int:
    with uv() as program:
        wanted = requirements(exported(program, *options))
    if torch := wanted.pop("torch", None):
        index = os.environ.get("TORCH_INDEX")
        where = ["--index-url", index] if index else []
        build = build_taken(torch, *where)
        install([of_build(torch, build, (HERE / "torch-cpu.txt").read_text())], *where)
        wanted = without_cuda(wanted) if build.endswith("+cpu") else wanted
    install(wanted.values())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
