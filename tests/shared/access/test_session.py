"""Sessions: what was signed is read again, and nothing else is."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import pytest

from shared.access.principal import Principal
from shared.access.roles import Role
from shared.access.session import LASTS, NoSession, Session, read_session, signed
from tests.shared.access.test_keys import NOW

SECRET, OTHER = "ab" * 32, "cd" * 32
ANNA = Session(Principal("p-anna", Role.REVIEWER, frozenset({"tickets"}), "5f2c9a1b03de"), "Anna")


@pytest.mark.parametrize("session", [ANNA, Session(Principal("o-1", Role.OPERATOR), "")])
def test_what_is_signed_is_read_again_until_it_is_over(session: Session) -> None:
    token = signed(session, SECRET, NOW)
    assert read_session(token, SECRET, NOW + LASTS - timedelta(seconds=1)) == session
    with pytest.raises(NoSession, match="is over"):
        read_session(token, SECRET, NOW + LASTS)


def test_another_secret_signs_nothing_for_us() -> None:
    with pytest.raises(NoSession, match="no session of ours"):
        read_session(signed(ANNA, OTHER, NOW), SECRET, NOW)


@pytest.mark.parametrize("spoilt", ["", "x", "a.b.c", "tl_5f2c9a1b03de_" + "A" * 43])
def test_what_is_no_token_is_no_session(spoilt: str) -> None:
    with pytest.raises(NoSession):
        read_session(spoilt, SECRET, NOW)


@pytest.mark.parametrize("algorithm", ["none", "HS512", "RS256"])
def test_no_other_algorithm_is_taken(algorithm: str) -> None:
    def part(content: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()

    _, claims, signature = signed(ANNA, SECRET, NOW).split(".")
    for end in ("", signature):
        with pytest.raises(NoSession):
            read_session(f"{part({'alg': algorithm})}.{claims}.{end}", SECRET, NOW)


def test_a_changed_claim_is_found_out() -> None:
    header, claims, signature = signed(ANNA, SECRET, NOW).split(".")
    padded = claims + "=" * (-len(claims) % 4)
    raised = json.loads(base64.urlsafe_b64decode(padded)) | {"role": "operator"}
    forged = base64.urlsafe_b64encode(json.dumps(raised).encode()).rstrip(b"=").decode()
    with pytest.raises(NoSession):
        read_session(f"{header}.{forged}.{signature}", SECRET, NOW)
