"""A chain shows what was altered, removed, added or cut off."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.access.audit_chain import Head, Link, Verification, beginning, canonical, following

ACTIONS = [canonical({"by": f"p-{number}", "what": "ä"}) for number in range(1, 7)]
CHAIN = following(beginning(0), ACTIONS)


def breaks_at(links: list[Link], *noted: Head, partition: int = 0) -> str:
    verification = Verification(partition, noted)
    for link in links:
        if said := verification.breaks_at(link):
            return said
    return verification.ends()


def test_a_whole_chain_holds() -> None:
    assert breaks_at(CHAIN) == ""
    assert breaks_at(CHAIN, CHAIN[3].head, CHAIN[-1].head) == ""
    assert breaks_at([], beginning(0)) == ""


def test_it_is_the_same_however_it_is_cut_into_batches() -> None:
    first = following(beginning(0), ACTIONS[:4])
    assert [*first, *following(first[-1].head, ACTIONS[4:])] == CHAIN


def test_each_partition_has_a_chain_of_its_own() -> None:
    assert "row 1" in breaks_at(CHAIN, partition=1)


@pytest.mark.parametrize(
    ("links", "said"),
    [
        ([*CHAIN[:2], replace(CHAIN[2], action=ACTIONS[0]), *CHAIN[3:]], "row 3, or the one before"),
        ([*CHAIN[:2], replace(CHAIN[2], hash=CHAIN[1].hash), *CHAIN[3:]], "row 3, or the one before"),
        ([*CHAIN[:2], *CHAIN[3:]], "row 3 is gone"),
        ([*CHAIN[:2], *CHAIN[5:]], "rows 3 to 5 are gone"),
        (CHAIN[1:], "row 1 is gone"),
        ([*CHAIN[:3], CHAIN[2], *CHAIN[3:]], "row 3 stands there twice"),
        (CHAIN[:-1], "row 6 is gone"),
        (CHAIN[:2], "rows 3 to 6 are gone"),
        ([], "rows 1 to 6 are gone"),
    ],
)
def test_where_it_breaks_is_said(links: list[Link], said: str) -> None:
    assert breaks_at(links, CHAIN[-1].head).startswith(said)


def test_a_chain_that_was_made_anew_is_not_the_one_that_was_noted() -> None:
    other = following(beginning(0), reversed(ACTIONS))
    assert breaks_at(other) == "", "nobody could know"
    assert "noted" in breaks_at(other, CHAIN[2].head)


def test_what_removed_rows_left_is_no_place_to_go_on_from() -> None:
    """The end is cut off, and the service goes on behind what it noted."""
    later = following(CHAIN[-1].head, ACTIONS[:1])
    assert breaks_at([*CHAIN[:4], *later], later[-1].head) == "rows 5 to 6 are gone"


def test_the_text_of_an_action_is_one() -> None:
    assert canonical({"b": 1, "a": None}) == canonical({"a": None, "b": 1}) == '{"a":null,"b":1}'
