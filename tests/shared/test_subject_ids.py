"""A user's name becomes an id that only the holder of the key can make again."""

from __future__ import annotations

from shared.events import PredictionLogged
from shared.subject_ids import subject_id


def test_it_is_hmac_sha256_cut_to_32_hex_digits() -> None:
    # RFC 4231, test case 2
    assert subject_id("Jefe", "what do ya want for nothing?") == "5bdcc146bf60754e6a042426089575c7"


def test_another_key_and_another_user_give_another_id() -> None:
    ids = {subject_id(key, user) for key in ("k1", "k2") for user in ("ada", "Ada", "ada@example.org")}
    assert len(ids) == 6


def test_without_a_key_or_a_user_there_is_no_id() -> None:
    assert subject_id("", "ada") is None
    assert subject_id("key", None) is None
    assert subject_id("key", "") is None


def test_every_name_gives_an_id_that_events_take() -> None:
    for user in ("Ada Lovelace", "用户", "\ud800", "x" * 10_000):
        event: dict[str, object] = {
            "subject_id": subject_id("key", user),
            "prediction_id": "p",
            "workload": "w",
            "input": "hi",
        }
        event |= {"predicted_at": "2026-11-24T12:00:00Z", "answer": "a", "confidence": 1, "adapter": "a"}
        assert PredictionLogged.model_validate(event).subject_id == event["subject_id"]
