"""The packages of the image for a GPU, held against pyproject.toml, lock.txt and the image itself."""

from __future__ import annotations

import re

import pytest
from packaging.requirements import Requirement

from deploy.requirements import cuda_lock

LOCKED = cuda_lock.HERE / "cuda.txt"
PACKAGE = re.compile(r"([a-z0-9.-]+)==(\S+) --hash=sha256:([0-9a-f]{64})")


def locked() -> dict[str, str]:
    lines = [line for line in LOCKED.read_text().splitlines() if not line.startswith("#")]
    found = [PACKAGE.fullmatch(line) for line in lines]
    assert None not in found
    return {match[1]: match[2] for match in found if match is not None}


def name_of(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


def test_it_has_what_the_service_requires() -> None:
    versions = {name_of(name): version for name, version in locked().items()}
    missing = [
        line
        for line in cuda_lock.wanted()
        if not (one := Requirement(line)).specifier.contains(versions.get(name_of(one.name), "0"))
    ]
    assert not missing, f"{cuda_lock.HEAD} again: it lacks {missing}"


def test_a_package_has_the_version_that_was_tested() -> None:
    tested = dict(
        line.split("==") for line in (cuda_lock.HERE / "lock.txt").read_text().splitlines() if "==" in line
    )
    versions = {name_of(name): version for name, version in tested.items()}
    others = {
        name: version for name, version in locked().items() if versions.get(name_of(name), version) != version
    }
    assert not others


def test_torch_comes_with_cuda() -> None:
    assert "+" not in locked()["torch"]
    assert {"nvidia-cublas", "nvidia-cudnn-cu13", "triton"} <= set(locked())


def test_the_image_has_the_python_that_wheels_were_chosen_for() -> None:
    image = (cuda_lock.HERE.parent / "Dockerfile.cuda").read_text()
    assert f"FROM python:{cuda_lock.PYTHON[0]}.{cuda_lock.PYTHON[1]}." in image


def package(url: str, hashes: dict[str, str]) -> dict[str, object]:
    return {
        "metadata": {"name": "Torch_Like", "version": "1.0"},
        "download_info": {"url": url, "archive_info": {"hashes": hashes}},
    }


def test_a_line_names_the_version_and_the_hash_of_the_wheel() -> None:
    report = {"install": [package("https://x/torch.whl", {"sha256": "ab"})]}
    assert cuda_lock.lock(report) == f"{cuda_lock.HEAD}torch-like==1.0 --hash=sha256:ab\n"


@pytest.mark.parametrize(
    ("url", "hashes"),
    [("https://x/torch.tar.gz", {"sha256": "ab"}), ("https://x/torch.whl", {})],
    ids=["source", "no hash"],
)
def test_what_would_be_built_or_cannot_be_checked_is_refused(url: str, hashes: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="no wheel with a sha256"):
        cuda_lock.lock({"install": [package(url, hashes)]})
