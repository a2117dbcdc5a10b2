"""One workload that asks a lot keeps no other waiting."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from services.model_gateway.fair_queue import FairQueue
from services.model_gateway.turns import Turns


def test_each_workload_has_its_turn_whatever_how_many_wait_of_one() -> None:
    queue = FairQueue[str]()
    for name in ("a1", "a2", "a3", "b1", "c1", "b2"):
        queue.push(name[0], name)
    assert [queue.pop() for _ in range(7)] == ["a1", "b1", "c1", "a2", "b2", "a3", None]


@given(st.lists(st.one_of(st.none(), st.sampled_from("abc"))))
def test_nothing_is_lost_and_none_of_a_name_overtakes(steps: list[str | None]) -> None:
    queue, popped, pushed = FairQueue[tuple[str, int]](), [], 0
    for name in steps:
        if name is None:
            popped.append(queue.pop())
        else:
            queue.push(name, (name, pushed))
            pushed += 1
    while (left := queue.pop()) is not None:
        popped.append(left)
    came = [one for one in popped if one is not None]
    assert len(came) == pushed
    for name in "abc":
        numbers = [number for of, number in came if of == name]
        assert numbers == sorted(numbers)


async def test_so_many_ask_at_once_and_the_quiet_one_is_next() -> None:
    turns, begun = Turns(2), list[str]()

    async def ask(workload: str) -> None:
        await turns.begin(workload)
        begun.append(workload)
        await asyncio.sleep(0.01)
        turns.end()

    noisy = [asyncio.create_task(ask("noisy")) for _ in range(50)]
    await asyncio.sleep(0)
    assert begun == ["noisy", "noisy"]
    await ask("quiet")
    assert len(begun) < 8
    await asyncio.gather(*noisy)
    assert len(begun) == 51


async def test_who_gives_up_keeps_no_turn() -> None:
    turns = Turns(1)
    await turns.begin("a")
    waiting = [asyncio.create_task(turns.begin("b")) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    turns.end()  # the second's, who gives up in the same moment
    waiting[1].cancel()
    await asyncio.wait_for(waiting[2], 1)
    turns.end()
    await asyncio.wait_for(turns.begin("a"), 1)
