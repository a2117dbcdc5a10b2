"""Answers that were given, held for whoever asks the same again: for a time, and within so many bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from functools import partial

from services.model_gateway.answer import Answer
from services.model_gateway.openai_requests import Asked
from services.model_gateway.sent_again import Sent, content_of, id_of

RETRY_SECONDS = 60.0
"""How long after an answer a request that its client calls a retry is one. By itself a client waits 8 s."""

Answering = Callable[[str | None], Awaitable[Answer]]
"""Answers under the given id, or under a new one."""


class AskedOtherwise(Exception):
    """The same name came before with another content."""


@dataclass(frozen=True, slots=True)
class _Held:
    content: bytes
    answer: Answer
    until: float


@dataclass(frozen=True, slots=True)
class _UnderWay:
    content: bytes
    answer: asyncio.Future[Answer | None]
    """None: whoever was answering was cut off."""


class HeldAnswers:
    """For one event loop. `content` is a digest of what is asked; `clock` gives seconds that only grow."""

    def __init__(self, seconds: float, most_bytes: int, clock: Callable[[], float]) -> None:
        self._seconds, self._most_bytes, self._clock = seconds, most_bytes, clock
        self._held: dict[Hashable, _Held] = {}
        """The oldest first."""
        self._bytes = 0
        self._under_way: dict[Hashable, _UnderWay] = {}

    def __len__(self) -> int:
        return len(self._held)

    async def find(self, name: Hashable, content: bytes) -> Answer | None:
        """The answer by this name; one that is under way is awaited.

        Raises AskedOtherwise, and what went wrong with the one under way.
        """
        while under_way := self._under_way.get(name):
            _same(under_way.content, content)
            answer = await asyncio.shield(under_way.answer)
            if answer is not None:
                return answer
        self._forget()
        held = self._held.get(name)
        if held is None:
            return None
        _same(held.content, content)
        return held.answer

    async def hold(
        self, name: Hashable, content: bytes, answering: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        """Answers, for all who find this name meanwhile and later.

        What failed or is not on record is not held: sent again, it is tried anew.
        """
        future: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        under_way = self._under_way[name] = _UnderWay(content, future)
        try:
            answer = await answering()
        except Exception as error:
            future.set_exception(error)
            future.exception()  # nobody need wait for it: it is raised here as well
            raise
        finally:
            if not future.done():
                future.set_result(None)
            if self._under_way.get(name) is under_way:
                del self._under_way[name]
        if answer.is_recorded:
            self._keep(name, _Held(content, answer, self._clock() + self._seconds))
        return answer

    def _keep(self, name: Hashable, held: _Held) -> None:
        before = self._held.pop(name, None)
        self._bytes += held.answer.bytes_held - (before.answer.bytes_held if before else 0)
        self._held[name] = held
        self._forget()

    def _forget(self) -> None:
        """What is over, and the oldest of what is too much."""
        now = self._clock()
        while self._held:
            oldest = next(iter(self._held))
            held = self._held[oldest]
            if held.until > now and self._bytes <= self._most_bytes:
                return
            del self._held[oldest]
            self._bytes -= held.answer.bytes_held


def _same(one: bytes, other: bytes) -> None:
    if one != other:
        raise AskedOtherwise


class Repeats:
    """What is sent again gets the answer it had; what two send at once is answered once.

    `most_bytes` are for answers by key, and as many for those of clients that count their retries.
    """

    def __init__(self, key_seconds: float, most_bytes: int, clock: Callable[[], float]) -> None:
        self._by_key = HeldAnswers(key_seconds, most_bytes, clock)
        self._by_content = HeldAnswers(RETRY_SECONDS, most_bytes, clock)

    async def answer(self, asked: Asked, sent: Sent, answering: Answering) -> tuple[Answer, bool]:
        """The answer, and whether it was given before.

        Raises AskedOtherwise for a key that came before with another request, and what `answering` raises.
        """
        if sent.key is not None:
            name = (asked.workload, sent.sender, sent.key)
            return await _once(self._by_key, name, content_of(asked), partial(answering, id_of(*name)))
        if sent.retries is None:
            return await answering(None), False
        content = content_of(asked, sent.sender)
        if sent.retries == 0:  # two users may well ask the same
            return await self._by_content.hold(content, content, partial(answering, None)), False
        return await _once(self._by_content, content, content, partial(answering, None))


async def _once(
    held: HeldAnswers, name: Hashable, content: bytes, answering: Callable[[], Awaitable[Answer]]
) -> tuple[Answer, bool]:
    found = await held.find(name, content)
    return (found, True) if found is not None else (await held.hold(name, content, answering), False)
