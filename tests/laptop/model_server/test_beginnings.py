from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from deploy.laptop.model_server.beginnings import LEAST, MOST, MOST_KEPT, RECENT, Beginnings, shared_length

ids = st.lists(st.integers(0, 2), max_size=12).map(tuple)
SYSTEM = tuple(range(100, 100 + LEAST))


def prompt(text: int, beginning: tuple[int, ...] = SYSTEM) -> tuple[int, ...]:
    return (*beginning, text, text + 1)


def learnt(beginnings: Beginnings[str], prompts: list[tuple[int, ...]]) -> list[int]:
    """As the engine does it: what is worth keeping is kept."""
    lengths = []
    for one in prompts:
        lengths.append(beginnings.worth_keeping(one))
        if lengths[-1]:
            beginnings.keep(one[: lengths[-1]], f"{one[0]}…")
    return lengths


@given(ids, ids)
def test_the_shared_length_is_that_of_the_common_beginning(
    one: tuple[int, ...], other: tuple[int, ...]
) -> None:
    length = shared_length(one, other)
    assert one[:length] == other[:length]
    assert length in (len(one), len(other)) or one[length] != other[length]


def test_what_three_prompts_begin_with_is_worth_keeping_and_once_kept_no_more() -> None:
    beginnings: Beginnings[str] = Beginnings()
    assert learnt(beginnings, [prompt(text) for text in range(4)]) == [0, 0, LEAST, 0]
    kept = beginnings.of(prompt(9))
    assert kept is not None
    assert kept.ids == SYSTEM


def test_what_is_short_or_of_two_prompts_alone_is_not() -> None:
    beginnings: Beginnings[str] = Beginnings()
    assert learnt(beginnings, [prompt(text, SYSTEM[1:]) for text in range(3)]) == [0, 0, 0]
    assert learnt(beginnings, [prompt(1), prompt(2)]) == [0, 0]


def test_others_in_between_do_not_matter_up_to_a_few() -> None:
    beginnings: Beginnings[str] = Beginnings()
    others = [(number,) * 30 for number in range(RECENT - 2)]
    assert learnt(beginnings, [prompt(1), prompt(2), *others, prompt(3)])[-1] == LEAST
    beginnings = Beginnings()
    others = [(number,) * 30 for number in range(RECENT)]
    assert learnt(beginnings, [prompt(1), prompt(2), *others, prompt(3)])[-1] == 0


def test_something_is_always_left_to_read() -> None:
    beginnings: Beginnings[str] = Beginnings()
    same = (*SYSTEM, 7)
    assert learnt(beginnings, [same, same, same]) == [0, 0, LEAST]
    assert beginnings.of(SYSTEM) is None
    assert beginnings.of(same) is not None


def test_of_a_very_long_one_the_rest_is_read() -> None:
    beginnings: Beginnings[str] = Beginnings()
    assert learnt(beginnings, [prompt(text, (5,) * 2 * MOST) for text in range(3)])[-1] == MOST


def test_a_longer_beginning_is_kept_beside_a_shorter_one_and_goes_before_it() -> None:
    beginnings: Beginnings[str] = Beginnings()
    longer = (*SYSTEM, *SYSTEM)
    learnt(beginnings, [prompt(text) for text in range(3)])
    learnt(beginnings, [prompt(text, longer) for text in range(3)])
    found = [beginnings.of(one) for one in (prompt(8), prompt(8, longer))]
    assert [one and one.ids for one in found] == [SYSTEM, longer]


def test_the_one_unused_for_longest_makes_room() -> None:
    beginnings: Beginnings[str] = Beginnings()
    for number in range(MOST_KEPT):
        beginnings.keep((number,) * LEAST, "")
    assert beginnings.of(prompt(1, (0,) * LEAST)) is not None
    beginnings.keep((99,) * LEAST, "")
    assert beginnings.of(prompt(1, (1,) * LEAST)) is None
    assert beginnings.of(prompt(1, (0,) * LEAST)) is not None


def test_prompts_that_are_read_together_keep_one_beginning_and_leave_the_others() -> None:
    beginnings: Beginnings[str] = Beginnings()
    other = prompt(1, (5,) * LEAST)
    beginnings.keep(other[:-1], "")
    together = [(*SYSTEM, *likeness) for likeness in ((1, 2, 3), (1, 2, 4), (1, 5, 6), (1, 5, 7), (8, 9, 9))]
    lengths = [beginnings.worth_keeping(one) for one in together * 2]
    for one, length in zip(together * 2, lengths, strict=True):
        if length:
            beginnings.keep(one[:length], "")
    assert len({*lengths} - {0}) > 1
    assert beginnings.of(other) is not None
