"""`tuneloop audit who` says by which id the audit log calls a person of a provider."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.cli import app
from deploy.subject_key import subject_key_file
from services.console.people import session_of_claims
from shared.access.roles import Role
from tests.deploy.test_cli import in_an_image

ISSUER, KEY, OTHERS = "https://login.example.org", "ab" * 32, "cd" * 32


def signed_in_as(subject: str, key: str = KEY) -> str:
    claims = {"iss": ISSUER, "sub": subject, "groups": ["support"]}
    session = session_of_claims(claims, "groups", {"support": Role.REVIEWER}, key)
    assert session is not None
    return session.principal.id


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("SUBJECT_KEY", "TUNELOOP_URL"):
        monkeypatch.delenv(name, raising=False)


def who(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, words)
    return result.exit_code, result.stdout, result.stderr


def test_it_is_the_id_that_they_sign_in_by_a_line_for_each(tmp_path: Path) -> None:
    subject_key_file(tmp_path).write_text(KEY)
    said = f"{signed_in_as('anna')} anna\n{signed_in_as('ben')} ben\n"
    assert who("audit", "who", ISSUER, "anna", "ben", "--data", str(tmp_path)) == (0, said, "")
    assert who("audit", "who", f"{ISSUER}/", "anna", "ben", "--data", str(tmp_path)) == (0, said, "")


def test_what_the_environment_names_goes_before_the_folders_as_it_does_for_a_laptop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject_key_file(tmp_path).write_text(KEY)
    monkeypatch.setenv("SUBJECT_KEY", OTHERS)
    said = f"{signed_in_as('anna', OTHERS)} anna\n"
    assert who("audit", "who", ISSUER, "anna", "--data", str(tmp_path)) == (0, said, "")


def test_it_is_computed_where_a_service_has_the_key_and_nothing_is_asked() -> None:
    environment = {"SUBJECT_KEY": KEY, "TUNELOOP_URL": "http://127.0.0.1:9"}
    said = in_an_image("audit", "who", ISSUER, "anna", environment=environment)
    assert (said.returncode, said.stdout, said.stderr) == (0, f"{signed_in_as('anna')} anna\n", "")


def test_a_key_that_cannot_be_read_is_said_and_what_to_do(tmp_path: Path) -> None:
    code, out, said = who("audit", "who", ISSUER, "anna", "--data", str(tmp_path / "none"))
    assert (code, out) == (1, "")
    assert f"{tmp_path / 'none' / 'subject-key'}, which cannot be read (No such file or directory)" in said
    assert "--data" in said
    assert "SUBJECT_KEY" in said


def test_of_an_installation_elsewhere_the_key_has_to_be_set(tmp_path: Path) -> None:
    subject_key_file(tmp_path).write_text(KEY)
    code, out, said = who("--url", "https://loop.example", "audit", "who", ISSUER, "anna")
    assert (code, out) == (1, "")
    assert "Set it to the one that its services have" in said
