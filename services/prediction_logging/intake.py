"""Which lines of a request are taken, under which ids, and what is wrong with the others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol, Self, TypeVar

import msgspec
from pydantic import ValidationError

from services.prediction_logging.body_lines import NotJson, array_elements, is_array, json_lines
from services.prediction_logging.remembered import Remembered
from services.prediction_logging.request_keys import RequestKey
from shared.events.envelope import MOST_EVENT_BYTES, Record

OTHER_CONTENT = "came before with other content; one id is one thing"
MOST_ERRORS_OF_A_LINE = 10

G = TypeVar("G")


class LineError(NamedTuple):
    """What is wrong with a line (counted from 1; in an array, with that element)."""

    line: int
    field: str
    problem: str


class Event(msgspec.Struct, gc=False):
    """What a line becomes."""

    line: int
    id: str
    workload: str
    place: int
    """A hash of its kind, workload and id."""
    content: int
    """A hash of what must not differ when it comes again."""
    is_new: bool
    """Whether the id cannot have come before: it was made for this line."""
    record: Record


@dataclass
class Judged:
    """A request's lines: each is taken or wrong."""

    lines: Sequence[int] = ()
    """Which are taken."""
    ids: list[str] = field(default_factory=list)
    """Of what is taken, one for each line."""
    contents: dict[int, int] = field(default_factory=dict)
    """Place → content of what is taken, as an Event has them."""
    records: list[Record] = field(default_factory=list)
    """Of what is taken, one for each id."""
    errors: list[LineError] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    """Workload → bytes of its records."""


class Kind(Protocol[G]):
    """One kind of event that apps send."""

    @property
    def name(self) -> str: ...
    @property
    def id_field(self) -> str: ...

    def of(self, workloads: Collection[str]) -> Self:
        """The same, for whoever may speak of these workloads alone."""

    def read(self, line: bytes) -> G:
        """Raises pydantic's ValidationError."""

    def event(self, given: G, line: int, key: RequestKey, moment: datetime) -> Event | LineError: ...

    def events(
        self, body: bytes, most: int, key: RequestKey, moment: datetime, *, is_lines: bool
    ) -> Judged | None:
        """All lines or elements taken at once, at most so many; None if one may be wrong."""


def judged(
    body: bytes,
    kind: Kind[G],
    key: RequestKey,
    moment: datetime,
    seen: Remembered,
    *,
    is_lines: bool,
    most: int,
) -> Judged:
    """All lines of a body. Raises NotJson, TooManyLines.

    A line of JSON Lines that is no JSON is a wrong line; an array or object that is none is no body at all.
    An id may come again with the same content, in the same request too; with other content it is wrong.
    """
    at_once = kind.events(body, most, key, moment, is_lines=is_lines)
    if at_once is not None and _is_certain(at_once, seen):
        return at_once
    lines: list[int] = []
    found = Judged(lines)
    here: dict[int, tuple[int, int]] = {}
    for line, given in _read(body, kind, found.errors, is_lines=is_lines, most=most):
        event = kind.event(given, line, key, moment)
        if isinstance(event, LineError):
            found.errors.append(event)
            continue
        if len(event.record.value) > MOST_EVENT_BYTES:
            found.errors.append(LineError(line, "line", f"is longer than {MOST_EVENT_BYTES} bytes"))
            continue
        if not event.is_new:
            first, content = here.setdefault(event.place, (line, event.content))
            if content != event.content:
                said = f"stands in line {first} with other content"
                found.errors.append(LineError(line, kind.id_field, said))
                continue
            if seen.differs(event.place, event.content):
                found.errors.append(LineError(line, kind.id_field, OTHER_CONTENT))
                continue
        lines.append(line)
        found.ids.append(event.id)
        found.contents[event.place] = event.content
        if event.is_new or first == line:
            found.records.append(event.record)
            found.sizes[event.workload] = found.sizes.get(event.workload, 0) + len(event.record.value)
    return found


def _is_certain(at_once: Judged, seen: Remembered) -> bool:
    """Whether all of it may be taken: nothing is too long, stands here twice or came with other content."""
    return (
        len(at_once.contents) == len(at_once.ids)
        and not seen.any_differs(at_once.contents)
        and max([len(record.value) for record in at_once.records]) <= MOST_EVENT_BYTES
    )


def _read(
    body: bytes, kind: Kind[G], errors: list[LineError], *, is_lines: bool, most: int
) -> Iterable[tuple[int, G]]:
    if is_lines:
        return _read_each(json_lines(body, most), kind, errors)
    if is_array(body):
        return _read_each(array_elements(body, most), kind, errors)
    try:
        return [(1, kind.read(body))]
    except ValidationError as error:
        errors += _errors(1, error)
        if error.errors()[0]["type"] == "json_invalid":
            raise NotJson(errors[0].problem) from None
        return ()


def _read_each(
    lines: Iterable[tuple[int, bytes]], kind: Kind[G], errors: list[LineError]
) -> Iterator[tuple[int, G]]:
    read = kind.read
    for number, line in lines:
        try:
            yield number, read(line)
        except ValidationError as error:
            errors += _errors(number, error)


def _errors(line: int, error: ValidationError) -> Iterator[LineError]:
    rows = error.errors(include_url=False, include_input=False, include_context=False)
    for row in rows[:MOST_ERRORS_OF_A_LINE]:
        yield LineError(line, ".".join(map(str, row["loc"]))[:200] or "line", row["msg"])
