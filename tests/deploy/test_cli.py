"""The command line says what is wrong in one line, and what to do."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.cli import app
from tests.servers.model import ROOT, free_port

COMMANDS = [
    ["status"],
    ["status", "--json"],
    ["cycle", "start", "tickets"],
    ["rollback", "tickets"],
    ["workload", "add", "tickets.toml"],
    ["workload", "list"],
    ["workload", "show", "tickets"],
    ["workload", "retire", "tickets", "--yes"],
    ["workload", "follow", "tickets"],
    ["train", "tickets", "--method", "lora", "--json"],
    ["runs", "list"],
    ["runs", "cancel", "7d0a"],
    ["adapters", "list"],
    ["adapters", "show", "tickets-v1"],
    ["audit", "export"],
    ["audit", "verify"],
]
WITHOUT_LAPTOP = """
import sys
class Nobody:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED or name.startswith(("deploy.laptop", "deploy.demo", "tests")):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
BLOCKED = {"torch", "transformers", "chdb", "gguf", "peft", "psutil", "matplotlib", "yaml", "nicegui",
           "jinja2", "presidio_analyzer", "spacy", "google_crc32c", "sentence_transformers", "trl", "numpy"}
sys.meta_path.insert(0, Nobody())
from deploy.cli import app
app()
"""


run = CliRunner().invoke


@pytest.fixture(autouse=True)
def no_installation_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TUNELOOP_URL", raising=False)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_without_a_running_system_says_how_to_start_it(tmp_path: Path, command: list[str]) -> None:
    result = run(app, [*command, "--data", str(tmp_path)])
    assert result.exit_code == 1
    assert "tuneloop up" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("command", COMMANDS)
def test_an_address_where_nobody_answers_is_one_line_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tickets.toml").write_text('rows = "rows.csv"')
    Path("rows.csv").write_text("text,label\n")
    url = f"http://127.0.0.1:{free_port()}"
    result = run(app, ["--url", url, *command])
    said = (
        f"{url} does not answer (connection refused). "
        "Is it up? --url, TUNELOOP_URL or --data says which one is asked."
    )
    assert (result.exit_code, result.stderr.strip()) == (1, said)
    ends_in_json = command[0] == "train" and "--json" in command
    assert result.stdout == (f"{json.dumps({'error': said})}\n" if ends_in_json else "")


def test_a_key_is_not_sent_where_others_read_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNELOOP_URL", "http://192.0.2.2:18199")
    monkeypatch.setenv("TUNELOOP_KEY", "tl_key")
    result = run(app, ["status"])
    assert result.exit_code == 1
    assert "http://192.0.2.2:18199 is on another machine" in result.stderr
    assert "HTTP_PLAIN=true" in result.stderr
    assert "tl_key" not in result.output


def test_a_file_that_cannot_be_read_is_said_before_anybody_is_asked(tmp_path: Path) -> None:
    (tmp_path / "tickets.toml").write_text('rows = "none.csv"')
    url = f"http://127.0.0.1:{free_port()}"
    for file in ("none.toml", "tickets.toml"):
        result = run(app, ["--url", url, "workload", "add", str(tmp_path / file)])
        assert result.exit_code == 1
        assert "cannot be read (No such file or directory)" in result.stderr


def test_the_commands_are_there() -> None:
    helped = run(app, ["--help"]).output
    for command in ("up", "demo", "status", "workload", "cycle", "rollback"):
        assert command in helped


def in_an_image(*arguments: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """The command line as a service's image has it: no laptop, no demo, nothing of their packages."""
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_LAPTOP, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_command_line_starts_in_an_image_without_a_laptop() -> None:
    assert "workload" in in_an_image("--help", environment={}).stdout
    url = f"http://127.0.0.1:{free_port()}"
    asked = in_an_image("status", environment={"TUNELOOP_URL": url})
    assert (asked.returncode, asked.stdout) == (1, "")
    assert f"{url} does not answer" in asked.stderr
    lost = in_an_image("status", environment={})
    assert lost.returncode == 1
    assert "tuneloop --url URL" in lost.stderr
    assert "Traceback" not in lost.stderr


def test_the_image_holds_the_command_line() -> None:
    dockerfile = (Path(ROOT) / "deploy" / "Dockerfile").read_text("utf-8")
    assert "COPY deploy/*.py deploy/" in dockerfile
