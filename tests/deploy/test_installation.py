"""Which installation a command asks."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.expected_error import ExpectedError
from deploy.installation import Installation, installation

NAMED = {"TUNELOOP_URL": "http://workloads:8080/"}


def test_a_url_names_an_installation_without_its_last_slash() -> None:
    assert installation("https://loop.example/", None, {}) == Installation("https://loop.example")


def test_the_environment_names_one_where_nothing_else_does() -> None:
    assert installation(None, None, NAMED).url == "http://workloads:8080"
    assert installation("http://other:1", None, NAMED).url == "http://other:1"


def test_a_folder_goes_before_the_environment(tmp_path: Path) -> None:
    with pytest.raises(ExpectedError, match="tuneloop does not run in"):
        installation(None, tmp_path, NAMED)


def test_a_url_beside_a_folder_is_one_too_many(tmp_path: Path) -> None:
    with pytest.raises(ExpectedError, match="Give one of them"):
        installation("http://other:1", tmp_path, {})


def test_what_is_no_url_is_said() -> None:
    with pytest.raises(ExpectedError, match=r"“localhost:8081” is not an address.*http://"):
        installation("localhost:8081", None, {})


def test_a_key_is_one_word_wherever_it_comes_from(tmp_path: Path) -> None:
    file = tmp_path / "anna.key"
    for given in ({"TUNELOOP_KEY": " tl_key\n"}, {"TUNELOOP_KEY_FILE": str(file)}):
        file.write_text("tl_key\n")
        assert installation(None, None, NAMED | given).key == "tl_key"
    for said in ("tl_key\nThe key above is anna's.", "tl_…", "tl_a\r\nx-other: tl_b"):
        file.write_text(said)
        for given in ({"TUNELOOP_KEY": said}, {"TUNELOOP_KEY_FILE": str(file)}):
            with pytest.raises(ExpectedError, match=f"^{next(iter(given))}.*one word that begins with tl_"):
                installation(None, None, NAMED | given)
    file.write_bytes(b"\xff")
    with pytest.raises(ExpectedError, match="holds no text"):
        installation(None, None, NAMED | {"TUNELOOP_KEY_FILE": str(file)})


def test_that_keys_may_go_readably_is_said_as_to_services(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not installation(None, None, NAMED).plain
    monkeypatch.setenv("HTTP_PLAIN", "true")
    assert installation(None, None, NAMED).plain
    monkeypatch.setenv("HTTP_PLAIN", "perhaps")
    with pytest.raises(ExpectedError, match=r"^HTTP_PLAIN: .*boolean"):
        installation(None, None, NAMED)


def test_where_to_review_is_the_consoles_page_or_words_for_it() -> None:
    assert Installation("a", console_url="http://c").review_page("t") == "http://c/review?workload=t"
    assert Installation("a").review_page("t") == "the console's page Review"
