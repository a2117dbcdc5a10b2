"""What the demo makes sure of before it starts: that it harms nothing, and that its report can be kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.demo.report import ensure_writable
from deploy.demo.run import forget_last_run
from deploy.laptop.errors import LaptopError


def test_a_folder_with_what_no_demo_has_made_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    (tmp_path / ".lock").touch()
    with pytest.raises(LaptopError, match=r"holds what no demo has made. Choose .*--data DIR"):
        forget_last_run(tmp_path)
    assert (tmp_path / "thesis.tex").exists()


def test_the_last_demo_is_forgotten_but_for_the_model_of_version_0_1(tmp_path: Path) -> None:
    for name in ("models", "kafka", "logs"):
        (tmp_path / name).mkdir()
    for name in ("licences.jsonl", ".lock"):
        (tmp_path / name).touch()
    forget_last_run(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "models"]
    forget_last_run(tmp_path)


@pytest.mark.parametrize("place", ["missing/report.html", ".", "file/report.html"])
def test_a_report_that_cannot_be_written_is_said_before_the_demo(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LaptopError, match=r"^The report cannot be written to .*--report FILE$"):
        ensure_writable(tmp_path / place)
