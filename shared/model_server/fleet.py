"""Several model servers asked as one: each gets what is wanted of its base model before it is asked."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from shared.model_server.addresses import Address, addresses_of
from shared.model_server.choice import choice
from shared.model_server.errors import AdapterNotFound, ModelServerDown, ModelServerRefused, UnknownModel
from shared.model_server.replica import Replica
from shared.model_server.this_server import Prove, ThisServer

LOOK_AGAIN_SECONDS = 5.0
"""So old what is known of the servers may be while they are asked; at rest nobody looks."""
LOOK_SECONDS = 2.0
"""For one to say what it has: shorter than whoever asks whether we are ready waits."""
DOWN_SECONDS = 5.0
"""So long others are asked first."""
SLOW_SECONDS = 5.0
"""Whoever gave up after so long found a server that does not answer."""
WANTED_SECONDS = 600.0
"""An adapter that nobody asked for that long is no longer loaded on servers that lack it."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wanted:
    path: str
    base_model: str | None
    """None: any server takes it."""
    prove: Prove | None = None
    """Asked about each server before that gets it: files change, and so do servers."""


class Fleet:
    """Servers by URL, and by each address of a URL's name."""

    def __init__(self, urls: Sequence[str], session: Callable[[], aiohttp.ClientSession]) -> None:
        self._session = session
        self._addresses: dict[str, list[Address]] = {url: [] for url in urls}
        self._replicas: list[Replica] = []
        self._wanted: dict[str, Wanted] = {}
        """Adapters that were loaded through us, by name."""
        self._asked_at: dict[str, float] = {}
        self._dropped: set[str] = set()
        """Unloaded through us; a server that was away then still has them."""
        self._looking: asyncio.Task[None] | None = None
        self._looked_at = float("-inf")

    async def ask(self, model: str, path: str, body: Mapping[str, Any]) -> Any:
        """The answer of one that has the model; if one fails, of the next.

        Raises ModelServerDown, UnknownModel, and what a server says of the request itself.
        """
        now = _now()
        self._asked_at[model] = now
        if now - self._looked_at > LOOK_AGAIN_SECONDS:
            look = self._look_soon()
            if not self._replicas:
                await asyncio.shield(look)
        try:
            return await self._ask_in_turn(model, path, body)
        except UnknownModel:  # nobody has it, as far as we know
            await self._look_anew()
            return await self._ask_in_turn(model, path, body)

    async def _ask_in_turn(self, model: str, path: str, body: Mapping[str, Any]) -> Any:
        tried: list[Replica] = []
        failure: Exception | None = None
        while (replica := choice(self._replicas, model, _now(), tried)) is not None:
            tried.append(replica)
            try:
                return await self._ask_one(replica, path, body)
            except UnknownModel as error:  # it was started anew: the next look loads what it lost
                replica.models.discard(model)
                self._looked_at = float("-inf")
                failure = failure or error
            except ModelServerDown as error:
                replica.down_until = _now() + DOWN_SECONDS
                failure = error
        raise failure or self._nobody_has(model)

    async def _ask_one(self, replica: Replica, path: str, body: Mapping[str, Any]) -> Any:
        began = _now()
        self._replicas.remove(replica)
        self._replicas.append(replica)
        replica.in_flight += 1
        try:
            return await replica.post(self._session(), path, body)
        except asyncio.CancelledError:
            if _now() - began > SLOW_SECONDS:
                replica.down_until = _now() + DOWN_SECONDS
            raise
        finally:
            replica.in_flight -= 1

    def _nobody_has(self, model: str) -> Exception:
        now = _now()
        if all(replica.down_until > now for replica in self._replicas):
            return ModelServerDown(f"no model server answers at {', '.join(self._addresses)}")
        return UnknownModel(f"none of {len(self._replicas)} model servers has {model}")

    async def listings(self) -> list[Any]:
        """What each one that answers says of itself. Raises ModelServerDown if none does."""
        if not self._replicas:
            await self._look_anew()
        elif _now() - self._looked_at > LOOK_AGAIN_SECONDS:
            self._look_soon()
        answers = await asyncio.gather(
            *(one.get(self._session(), "/v1/models", LOOK_SECONDS) for one in self._replicas),
            return_exceptions=True,
        )
        said = [answer for answer in answers if not isinstance(answer, BaseException)]
        if not said:
            raise ModelServerDown(f"no model server answers at {', '.join(self._addresses)}")
        return said

    async def load(
        self, name: str, path: str, base_model: str | None = None, prove: Prove | None = None
    ) -> None:
        """Returns when each one that answers has been told; it is enough that one has it, as others follow.

        Raises AdapterNotFound, ModelServerRefused, ModelServerDown or what `prove` raised if none has it.
        """
        self._dropped.discard(name)
        self._wanted[name], self._asked_at[name] = Wanted(path, base_model, prove), _now()
        for replica in self._replicas:
            replica.proved.discard(name)
            replica.failures.went_well(name)
        await self._look_anew()
        if any(name in replica.models and replica.down_until <= _now() for replica in self._replicas):
            return
        refusals = [replica.refused[name] for replica in self._replicas if name in replica.refused]
        if not refusals:
            which = f"no model server with {base_model}" if base_model else "no model server"
            raise ModelServerDown(f"{which} answers at {', '.join(self._addresses)}")
        if not isinstance(refusals[0], AdapterNotFound):
            self._wanted.pop(name, None)
        raise refusals[0]

    async def unload(self, name: str) -> None:
        """From each; one that is away drops it when it is back. Raises ModelServerDown if all are."""
        self._wanted.pop(name, None)
        self._dropped.add(name)
        await self._look_anew()
        if self._replicas and all(replica.down_until > _now() for replica in self._replicas):
            raise ModelServerDown(f"no model server answers at {', '.join(self._addresses)}")

    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    def _look_soon(self) -> asyncio.Task[None]:
        """One look at a time, beside what is asked."""
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
            self._looking.add_done_callback(self._looked)
        return self._looking

    def _looked(self, look: asyncio.Task[None]) -> None:
        self._looking = None
        if not look.cancelled() and (error := look.exception()) is not None:
            log.error("looking at the model servers failed: %r", error)

    async def _look_anew(self) -> None:
        """A look that began after this was called."""
        if self._looking is not None:
            await asyncio.wait([self._looking])
        await asyncio.shield(self._look_soon())

    async def _look(self) -> None:
        self._looked_at = _now()
        await _all_of([self._resolve(url) for url in self._addresses])
        known = {replica.address: replica for replica in self._replicas}
        found = dict.fromkeys(address for addresses in self._addresses.values() for address in addresses)
        self._replicas = [known.get(address) or Replica(address) for address in found]
        replicas = list(self._replicas)
        await _all_of([self._see_to(replica) for replica in replicas])
        if not any(replica.down_until > _now() for replica in replicas):
            self._dropped = {
                name for name in self._dropped if any(name in replica.models for replica in replicas)
            }

    async def _resolve(self, url: str) -> None:
        try:
            self._addresses[url] = await addresses_of(url)
        except OSError as error:  # those of before are asked meanwhile
            log.warning("the name in %s is not known: %s", url, error)

    async def _see_to(self, replica: Replica) -> None:
        """Learns what it has, and loads what it lacks: until then it is not asked for that."""
        session = self._session()
        try:
            replica.models = await replica.names(session, LOOK_SECONDS)
            replica.down_until = 0.0
            for name in self._dropped & replica.models:
                await replica.unload(session, name)
            replica.proved &= replica.models
            for name, adapter in self._still_wanted():
                if name not in replica.proved and adapter.base_model in (None, *replica.models):
                    await self._load_on(replica, name, adapter)
        except ModelServerDown as error:
            replica.down_until = _now() + LOOK_AGAIN_SECONDS + DOWN_SECONDS
            log.warning("%s; the other model servers answer", error)
        except ModelServerRefused as error:
            replica.models = set()
            log.error("the model server at %s is not asked: %s", replica.address.url, error)

    def _still_wanted(self) -> list[tuple[str, Wanted]]:
        earliest = _now() - WANTED_SECONDS
        return [each for each in self._wanted.items() if self._asked_at.get(each[0], 0.0) >= earliest]

    async def _load_on(self, replica: Replica, name: str, adapter: Wanted) -> None:
        """One that will not have it, or that it does not fit, is not asked for it, and tried again later."""
        if replica.failures.not_yet(name, _now()) is not None:
            replica.models.discard(name)
            return
        had_it = name in replica.models
        if name in replica.refused:
            replica.models.discard(name)
        try:
            if adapter.prove is not None:
                await adapter.prove(ThisServer(replica, self._session()))
            if not had_it:
                await replica.load(self._session(), name, adapter.path)
        except Exception as error:  # what proving raises is the prover's own
            if isinstance(error, ModelServerDown) and not isinstance(error, AdapterNotFound):
                raise
            if str(replica.refused.get(name)) != str(error):
                log.error("%s is not loaded on %s: %s", name, replica.address.url, error)
            replica.models.discard(name)
            replica.refused[name] = error
            replica.failures.failed(name, error, _now())
        else:
            replica.models.add(name)
            replica.proved.add(name)
            replica.refused.pop(name, None)
            replica.failures.went_well(name)


async def _all_of(work: Sequence[Coroutine[Any, Any, None]]) -> None:
    await asyncio.gather(*work)


def _now() -> float:
    return asyncio.get_running_loop().time()
