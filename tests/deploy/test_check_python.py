"""A Python that the set-up cannot use is said in one line, with the command that uses another."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from deploy.requirements.check_python import LEAST, MOST, complaint

ROOT = Path(__file__).parent.parent.parent


def test_it_takes_the_versions_that_pyproject_names() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert pyproject["project"]["requires-python"] == f">={LEAST[0]}.{LEAST[1]},<{MOST[0]}.{MOST[1] + 1}"


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)])
def test_a_fitting_python_is_taken(version: tuple[int, int]) -> None:
    assert complaint(version, True, "make demo", []) == ""


@pytest.mark.parametrize("version", [(3, 10), (3, 14), (4, 0)])
def test_another_one_is_named_with_the_command(version: tuple[int, int]) -> None:
    assert complaint(version, True, "make demo", ["python3.12", "python3.11"]) == (
        "tuneloop's packages are built for Python 3.11 to 3.13, and this is "
        f"{version[0]}.{version[1]}. Choose another: make demo PYTHON=python3.12"
    )


def test_where_none_fits_it_says_to_install_one() -> None:
    said = complaint((3, 9), True, "make test", [])
    assert said.endswith(
        "Install one (from your distribution, uv or pyenv), then: make test PYTHON=python3.13"
    )


def test_a_python_without_venv_is_said_with_the_package_that_brings_it() -> None:
    said = complaint((3, 12), False, "make demo", ["python3.11"])
    assert "apt install python3.12-venv" in said
    assert said.endswith("Choose another: make demo PYTHON=python3.11")
