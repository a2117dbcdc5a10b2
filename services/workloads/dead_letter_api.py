"""HTTP about dead letters: what there is, what one holds, and what becomes of them."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from datetime import datetime
from typing import Annotated, Self, TypeVar

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, BaseModel, Field

from services.workloads.by_beginning import only_one
from services.workloads.dead_letter_desk import DeadLetterDesk, NotReplayed, OnlyItsHead
from services.workloads.dead_letters import DeadLetter, Wanted, counts, shown
from services.workloads.kafka_silent import KafkaSilent
from services.workloads.replies import Wish
from services.workloads.tables_away import of_tables
from shared.access.door import May, may
from shared.access.principal import Principal
from shared.access.roles import Verb
from shared.http_doors.json_route import JsonRoute
from shared.problems import Problem, come_again

MOST_LISTED = 1000
Operator = Annotated[Principal, Depends(May(Verb.OPERATE, of_all=True))]
T = TypeVar("T")


class Listed(BaseModel):
    """One dead letter, without its payload."""

    id: str
    topic: str
    """The one it came from."""
    partition: int
    offset: int
    service: str
    reason: str
    at: datetime
    bytes: int
    is_whole: bool
    """False: only its head is kept, or nothing; the rest is read from where it stood, while Kafka has it."""

    @classmethod
    def of(cls, letter: DeadLetter) -> Self:
        return cls.model_validate({name: getattr(letter, name) for name in cls.model_fields})


class Count(BaseModel):
    topic: str
    service: str
    count: int


class Letters(BaseModel):
    total: int
    counts: list[Count]
    letters: list[Listed]
    """The newest first, at most as many as were asked for."""


class Shown(Listed):
    key: dict[str, str]
    value: dict[str, str]
    """As `text`, or as `base64` what is none: personal data, perhaps."""
    headers: dict[str, str]
    is_original: bool
    """Whether it was read from where it stood; else it is what was kept aside."""


class Many(Wish):
    """What is decided about all that match. `count` is how many that were: others may have come meanwhile."""

    topic: str | None = None
    service: str | None = None
    since: AwareDatetime | None = None
    count: int = Field(ge=1)

    def wanted(self) -> Wanted:
        return Wanted(self.topic, self.service, self.since)


class Decided(BaseModel):
    count: int


def dead_letter_routes(desk: DeadLetterDesk) -> APIRouter:
    router = APIRouter(prefix="/dead-letters", tags=["dead letters"], route_class=JsonRoute)

    @router.get("", dependencies=[may(Verb.READ, of_all=True)])
    async def letters(
        topic: str | None = None,
        service: str | None = None,
        since: AwareDatetime | None = None,
        limit: Annotated[int, Query(ge=0, le=MOST_LISTED)] = 100,
    ) -> Letters:
        """Those that nobody has decided about. What they hold is not told."""
        found = await _of_kafka(desk.undecided(Wanted(topic, service, since)))
        by = [Count(topic=key[0], service=key[1], count=count) for key, count in counts(found).items()]
        return Letters(total=len(found), counts=by, letters=[Listed.of(one) for one in found[:limit]])

    @router.get("/{letter_id}", dependencies=[may(Verb.OPERATE, of_all=True)])
    async def show(letter_id: str) -> Shown:
        """One with its payload, by its id or by how that begins. Decided ones too."""
        letter = await _named(desk, letter_id)
        payload = await _of_kafka(desk.payload(letter))
        headers = {name: (value or b"").decode("utf-8", "replace") for name, value in payload.record.headers}
        return Shown(
            **Listed.of(letter).model_dump(),
            key=dict(shown(payload.record.key or b"")),
            value=dict(shown(payload.record.value)),
            headers=headers,
            is_original=payload.is_original,
        )

    @router.post("/replay")
    async def replay_many(many: Many, principal: Operator) -> Decided:
        """Publishes all that match on the topics they came from."""
        found = await _confirmed(desk, many)
        await _of_kafka(desk.replay(found, many.by(principal), many.reason))
        return Decided(count=len(found))

    @router.post("/drop")
    async def drop_many(many: Many, principal: Operator) -> Decided:
        """Lists all that match no more."""
        found = await _confirmed(desk, many)
        await of_tables(desk.drop(found, many.by(principal), many.reason))
        return Decided(count=len(found))

    @router.post("/{letter_id}/replay")
    async def replay(letter_id: str, wish: Wish, principal: Operator) -> Decided:
        letter = await _named(desk, letter_id)
        await _of_kafka(desk.replay([letter], wish.by(principal), wish.reason))
        return Decided(count=1)

    @router.post("/{letter_id}/drop")
    async def drop(letter_id: str, wish: Wish, principal: Operator) -> Decided:
        letter = await _named(desk, letter_id)
        await of_tables(desk.drop([letter], wish.by(principal), wish.reason))
        return Decided(count=1)

    return router


async def _named(desk: DeadLetterDesk, beginning: str) -> DeadLetter:
    return only_one("dead letter", "an id", beginning, await _of_kafka(desk.named(beginning)))


async def _confirmed(desk: DeadLetterDesk, many: Many) -> Sequence[DeadLetter]:
    found = await _of_kafka(desk.undecided(many.wanted()))
    if len(found) != many.count:
        raise Problem(
            409,
            "Another number",
            f"{len(found)} dead letters match now, not {many.count}. List them, and confirm that number.",
            total=len(found),
        )
    return found


async def _of_kafka(work: Awaitable[T]) -> T:
    try:
        return await of_tables(work)
    except KafkaSilent as silent:
        raise come_again("Kafka away", f"Kafka: {silent}. Try again in a moment.") from silent
    except NotReplayed as error:
        raise come_again(
            "Not replayed for sure",
            "Kafka did not confirm in time. Replay what is still listed: what did arrive counts once.",
            seconds=5,
        ) from error
    except OnlyItsHead as gone:
        raise Problem(
            409,
            "Not kept whole",
            f"Of {gone} only the head was set aside, and Kafka does not keep the record any more. Send it "
            "again from where it came, and drop this.",
        ) from None
