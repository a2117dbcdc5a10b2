"""Answers are held for a time and within so many bytes, and none is worked out twice at once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from services.model_gateway.answer import UNRECORDED, Answer
from services.model_gateway.held_answers import AskedOtherwise, HeldAnswers
from shared.events import now


def answer(prediction_id: str) -> Answer:
    return Answer(prediction_id, now(), "refund", 0.9, {"refund": 0.9, "other": 0.1}, "tickets-1", 12)


ONE = answer("one").bytes_held


@dataclass
class Time:
    second: float = 0.0

    def __call__(self) -> float:
        return self.second


@dataclass
class Model:
    """Answers when it is let."""

    let: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0
    fails: bool = False

    async def __call__(self) -> Answer:
        self.asked += 1
        await self.let.wait()
        if self.fails:
            raise ConnectionError
        return answer(f"p-{self.asked}")


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def model() -> Model:
    return Model()


async def ask(held: HeldAnswers, model: Model, content: bytes = b"text") -> Answer:
    return await held.find("key", content) or await held.hold("key", content, model)


async def test_a_hundred_who_ask_at_once_wait_for_the_first(time: Time, model: Model) -> None:
    held = HeldAnswers(10, 10 * ONE, time)
    asking = [asyncio.create_task(ask(held, model)) for _ in range(100)]
    await asyncio.sleep(0)
    model.let.set()
    assert {given.prediction_id for given in await asyncio.gather(*asking)} == {"p-1"}
    assert model.asked == 1


async def test_what_failed_is_told_to_all_who_waited_and_tried_anew_by_the_next(
    time: Time, model: Model
) -> None:
    held = HeldAnswers(10, 10 * ONE, time)
    model.fails = True
    asking = [asyncio.create_task(ask(held, model)) for _ in range(3)]
    await asyncio.sleep(0)
    model.let.set()
    assert [type(given) for given in await asyncio.gather(*asking, return_exceptions=True)] == [
        ConnectionError
    ] * 3
    model.fails = False
    assert (await ask(held, model)).prediction_id == "p-2"


async def test_when_the_first_is_cut_off_one_of_those_who_wait_asks(time: Time, model: Model) -> None:
    held = HeldAnswers(10, 10 * ONE, time)
    first, *others = [asyncio.create_task(ask(held, model)) for _ in range(3)]
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    model.let.set()
    assert [given.prediction_id for given in await asyncio.gather(*others)] == ["p-2", "p-2"]


async def test_one_who_waits_and_goes_takes_nothing_from_the_others(time: Time, model: Model) -> None:
    held = HeldAnswers(10, 10 * ONE, time)
    first, second, third = [asyncio.create_task(ask(held, model)) for _ in range(3)]
    await asyncio.sleep(0)
    second.cancel()
    model.let.set()
    assert (await first) is (await third)


async def test_another_content_is_refused_while_and_after_the_first_is_answered(
    time: Time, model: Model
) -> None:
    held = HeldAnswers(10, 10 * ONE, time)
    first = asyncio.create_task(ask(held, model))
    await asyncio.sleep(0)
    with pytest.raises(AskedOtherwise):
        await ask(held, model, b"other")
    model.let.set()
    await first
    with pytest.raises(AskedOtherwise):
        await ask(held, model, b"other")


async def test_an_answer_is_held_for_its_time_and_no_longer(time: Time, model: Model) -> None:
    held = HeldAnswers(10, 10 * ONE, time)
    model.let.set()
    await ask(held, model)
    time.second = 9.9
    assert await held.find("key", b"text") is not None
    time.second = 10
    assert await held.find("key", b"text") is None
    assert len(held) == 0


async def test_what_is_not_on_record_is_not_held_so_that_it_may_still_be_recorded(time: Time) -> None:
    held = HeldAnswers(10, 10 * ONE, time)

    async def unrecorded() -> Answer:
        return answer(f"{UNRECORDED}one")

    assert not (await held.hold("key", b"text", unrecorded)).is_recorded
    assert await held.find("key", b"text") is None


async def test_the_oldest_go_first_when_there_are_more_than_fit(time: Time, model: Model) -> None:
    held = HeldAnswers(10, 3 * ONE, time)
    model.let.set()
    for number in range(1000):
        await held.hold(number, b"text", model)
    assert len(held) == 3
    assert await held.find(996, b"text") is None
    assert await held.find(997, b"text") is not None


async def test_a_name_that_is_answered_anew_is_held_once(time: Time, model: Model) -> None:
    held = HeldAnswers(10, 2 * ONE, time)
    model.let.set()
    for _ in range(5):
        await held.hold("key", b"text", model)
    await held.hold("other", b"text", model)
    assert len(held) == 2
    given = await held.find("key", b"text")
    assert given is not None
    assert given.prediction_id == "p-5"
