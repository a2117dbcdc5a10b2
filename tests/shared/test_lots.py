"""Lots: fair, the same for ever, and nobody's to choose."""

from __future__ import annotations

from shared.lots import Lots
from shared.subject_ids import subject_id

SECRET = "a secret of the tests"
LOTS = Lots.of(SECRET)
IDS = [f"p-{number}" for number in range(5000)]


def test_lots_are_spread_evenly() -> None:
    for tenth in range(10):
        n = sum(tenth / 10 <= LOTS.drawn("place", one) < (tenth + 1) / 10 for one in IDS)
        assert 400 < n < 600  # 500 expected, standard deviation 21


def test_the_same_prediction_draws_the_same_lot_in_every_process_and_version() -> None:
    assert Lots.of(SECRET).digest("audit", "p-1").hex().startswith("7fc0c4fb1b27d37f")


def test_without_the_secret_a_lot_says_nothing_of_the_real_one() -> None:
    ours = {one for one in IDS if LOTS.drawn("audit", one) < 0.1}
    guessed = {one for one in IDS if Lots.of("").drawn("audit", one) < 0.1}
    assert 20 < len(ours & guessed) < 90  # 50 expected of two samples that know nothing of each other


def test_purposes_draw_independently() -> None:
    twice = [one for one in IDS if LOTS.drawn("double", one) < 0.5]
    assert 0.44 < sum(LOTS.drawn("place", one) < 0.5 for one in twice) / len(twice) < 0.56


def test_a_user_whom_an_app_names_so_does_not_tell_a_lot() -> None:
    seen = {subject_id(SECRET, user) for user in ("tuneloop lots", "audit\x1fp-1", "\x1faudit\x1fp-1")}
    hidden = {LOTS.key.hex()[:32], LOTS.digest("audit", "p-1").hex()[:32]}
    assert not seen & hidden


def test_the_key_is_not_shown() -> None:
    assert LOTS.key.hex()[:8] not in repr(LOTS)
    assert str(LOTS.key) not in repr(LOTS)
