"""Which lines of a request are taken, under which ids, and what is wrong with the others."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol, TypeVar

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


class Event(NamedTuple):
    """What a line becomes."""

    id: str
    workload: str
    content: Hashable
    """What must not differ when the id comes again."""
    is_new: bool
    """Whether the id cannot have come before: it was made for this line."""
    record: Record


class Kind(Protocol[G]):
    """One kind of event that apps send."""

    @property
    def name(self) -> str: ...
    @property
    def id_field(self) -> str: ...

    def read(self, line: bytes) -> G:
        """Raises pydantic's ValidationError."""

    def read_all(self, array: bytes) -> list[G] | None:
        """All elements of an array at once; None if some may be wrong."""

    def event(self, given: G, line: int, key: RequestKey, moment: datetime) -> Event | LineError: ...


@dataclass
class Judged:
    """A request's lines: each is taken or wrong."""

    taken: list[tuple[int, Event]] = field(default_factory=list)
    errors: list[LineError] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    """Of what is taken, one for each id."""


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
    """
    found = Judged()
    for line, given in _read(body, kind, found.errors, is_lines=is_lines, most=most):
        event = kind.event(given, line, key, moment)
        if isinstance(event, LineError):
            found.errors.append(event)
        elif len(event.record.value) > MOST_EVENT_BYTES:
            found.errors.append(LineError(line, "line", f"is longer than {MOST_EVENT_BYTES} bytes"))
        else:
            found.taken.append((line, event))
    _one_content_for_each_id(found, kind, seen)
    return found


def _read(
    body: bytes, kind: Kind[G], errors: list[LineError], *, is_lines: bool, most: int
) -> Iterator[tuple[int, G]]:
    if is_lines:
        lines = json_lines(body, most)
    elif is_array(body):
        if (all_given := kind.read_all(body)) is not None and len(all_given) <= most:
            yield from enumerate(all_given, 1)
            return
        lines = array_elements(body, most)
    else:
        lines = [(1, body)]
    for number, line in lines:
        try:
            given = kind.read(line)
        except ValidationError as error:
            wrong = list(_errors(number, error))
            if line is body and not is_lines and error.errors()[0]["type"] == "json_invalid":
                raise NotJson(wrong[0].problem) from None
            errors += wrong
        else:
            yield number, given


def _one_content_for_each_id(found: Judged, kind: Kind[G], seen: Remembered) -> None:
    """An id may come again with the same content, in the same request too; with other content it is wrong."""
    here: dict[tuple[str, str], tuple[int, Hashable]] = {}
    all_taken, found.taken = found.taken, []
    for line, event in all_taken:
        first = line
        if not event.is_new:
            place = (event.workload, event.id)
            first, content = here.setdefault(place, (line, event.content))
            if content != event.content:
                found.errors.append(
                    LineError(line, kind.id_field, f"stands in line {first} with other content")
                )
                continue
            if seen.differs((kind.name, *place), event.content):
                found.errors.append(LineError(line, kind.id_field, OTHER_CONTENT))
                continue
        if first == line:
            found.records.append(event.record)
        found.taken.append((line, event))
    found.errors.sort(key=lambda error: error.line)


def _errors(line: int, error: ValidationError) -> Iterator[LineError]:
    rows = error.errors(include_url=False, include_input=False, include_context=False)
    for row in rows[:MOST_ERRORS_OF_A_LINE]:
        yield LineError(line, ".".join(map(str, row["loc"]))[:200] or "line", row["msg"])
