"""The command line says what is wrong in one line, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.cli import app

run = CliRunner().invoke


@pytest.mark.parametrize(
    "command",
    [
        ["status"],
        ["cycle", "start", "tickets"],
        ["rollback", "tickets"],
        ["workload", "add", "tickets.toml"],
    ],
)
def test_a_command_without_a_running_system_says_how_to_start_it(tmp_path: Path, command: list[str]) -> None:
    result = run(app, [*command, "--data", str(tmp_path)])
    assert result.exit_code == 1
    assert "tuneloop up" in result.output
    assert "Traceback" not in result.output


def test_the_commands_are_there() -> None:
    helped = run(app, ["--help"]).output
    for command in ("up", "demo", "status", "workload", "cycle", "rollback"):
        assert command in helped
