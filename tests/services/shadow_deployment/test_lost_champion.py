"""How long an adapter may be refused before it is lost, and what is said of a champion then."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.shadow_deployment.lost_champion import PATIENCE, Finding, refused, sentence
from shared.adapters.refusals import NotSigned, RankTooHigh, Tampered, UnsafeFiles
from shared.model_server import ModelServerRefused
from tests.services.shadow_deployment.example_events import CUTOFF, adapter

NOW = adapter("now")
UNKNOWN = Finding(NOW, CUTOFF)
CHANGED = Tampered("its files were changed", mend="restore its files")
NO_RANK = RankTooHigh("its rank is 64", mend="allow it", train="train with a lower lora_r")
GONE = FileNotFoundError("it is not at /files/now.")
MAY_PASS = (NO_RANK, GONE, ModelServerRefused("400: no"))


@pytest.mark.parametrize("error", [CHANGED, NotSigned("it is not signed"), UnsafeFiles("it holds a pickle")])
def test_what_its_own_files_say_is_for_good(error: Exception) -> None:
    assert refused(UNKNOWN, CUTOFF, error).is_lost


@pytest.mark.parametrize("error", MAY_PASS, ids=lambda error: type(error).__name__)
def test_what_may_pass_is_lost_after_ten_minutes_of_it_whatever_it_was_meanwhile(error: Exception) -> None:
    first = refused(UNKNOWN, CUTOFF, GONE)
    almost = refused(first, CUTOFF + PATIENCE - timedelta(seconds=1), error)
    over = refused(almost, CUTOFF + PATIENCE, error)
    assert (first.is_lost, almost.is_lost, over.is_lost) == (False, False, True)


@pytest.mark.parametrize("error", MAY_PASS, ids=lambda error: type(error).__name__)
def test_what_was_lost_is_so_until_it_can_be_loaded_and_then_has_ten_minutes_again(error: Exception) -> None:
    lost = refused(UNKNOWN, CUTOFF, CHANGED)
    assert refused(lost, CUTOFF, error).is_lost
    assert not refused(Finding(NOW, CUTOFF), CUTOFF + 2 * PATIENCE, error).is_lost


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (CHANGED, "its files were changed. Restore its files, {back}or train it anew {train}."),
        (GONE, "it is not at /files/now. Restore its files, {back}or train it anew {train}."),
        (NO_RANK, "its rank is 64. Allow it, {back}or train with a lower lora_r {train}."),
    ],
)
def test_a_lost_champion_is_said_with_every_way_out_once(error: Exception, said: str) -> None:
    train = "(tuneloop train tickets)"
    found = refused(UNKNOWN, CUTOFF, error)
    alone = sentence("tickets", found, way_back=None)
    assert alone == f"now is champion and is lost: {said.format(back='', train=train)}"
    back = "roll back to before (tuneloop rollback tickets), "
    both = sentence("tickets", found, way_back="before")
    assert both == f"now is champion and is lost: {said.format(back=back, train=train)}"


def test_where_nothing_mends_it_the_way_back_comes_first() -> None:
    found = refused(UNKNOWN, CUTOFF, NotSigned("it is not signed", train="train it anew with a key"))
    assert sentence("tickets", found, way_back=None) == (
        "now is champion and is lost: it is not signed. Train it anew with a key (tuneloop train tickets)."
    )
    assert "it is not signed. Roll back to before (" in sentence("tickets", found, way_back="before")
