"""Predictions as apps send them that run their own model: one object, an array, or a line each.

All lines of a request are taken or none is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from services.prediction_logging.invalid_predictions import why_invalid
from shared.events import PredictionLogged
from shared.fields import Id, Moment, Name, Share, Text, WorkloadName
from shared.projections import Workloads

MOST_EVENT_BYTES = 900_000  # Kafka takes records up to 1 MB
UNKNOWN_WORKLOAD = "its workload is not known"


class NotJson(Exception):
    """The body is no JSON. The message says where it stops being any."""


class WrongLines(Exception):
    """Some lines are wrong, so nothing is taken."""

    def __init__(self, errors: Sequence[LineError], lines: int) -> None:
        super().__init__(f"{len({error.line for error in errors})} of {lines} lines are wrong")
        self.errors, self.lines = errors, lines


@dataclass(frozen=True)
class LineError:
    """What is wrong with a line (counted from 1; in an array, with that element)."""

    line: int
    field: str
    problem: str


class PredictionGiven(BaseModel):
    """One prediction as an app sends it. A field nobody knows is an error: it may be a misspelt known one."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    prediction_id: Id | None = None
    workload: WorkloadName
    predicted_at: Moment | None = None
    input: Text
    answer: Name
    confidence: Share
    probabilities: dict[Name, Share] = Field(default_factory=dict)
    adapter: Name
    """Whatever names the model that answered."""
    latency_ms: float = Field(default=0, ge=0)
    tokens_in: int = Field(default=0, ge=0)
    attributes: dict[str, str] = Field(default_factory=dict)
    user: Annotated[str | None, Field(repr=False)] = None
    """The app's own name for its user. It goes no further than its `subject_id`."""
    group_id: Id | None = None

    def logged(self, prediction_id: str, subject_id: str | None, moment: datetime) -> PredictionLogged:
        """The event, under the app's own id and time where it gave them."""
        given = self.model_dump(exclude_none=True, exclude={"user"})
        ours = {"prediction_id": prediction_id, "predicted_at": moment, "subject_id": subject_id}
        return PredictionLogged(**ours | given)


def lines_of(body: bytes, *, is_ndjson: bool) -> list[tuple[int, Any]]:
    """Line numbers and what stands there: bytes of NDJSON, or parsed values of an array or one object.

    Raises NotJson for an array or object that is none; a broken line of NDJSON is left to `predictions`.
    """
    if is_ndjson:
        return [(number, line) for number, line in enumerate(body.split(b"\n"), 1) if line.strip()]
    try:
        value = from_json(body)
    except ValueError as error:
        raise NotJson(str(error)) from None
    return list(enumerate(value if isinstance(value, list) else [value], 1))


def predictions(
    lines: Sequence[tuple[int, Any]],
    workloads: Workloads,
    id_of: Callable[[int], str],
    subject_of: Callable[[str | None], str | None],
    moment: datetime,
) -> list[PredictionLogged]:
    """The events of all lines. `id_of` gives the id of a line that brings none, `subject_of` the subject_id
    of the user a line names. Raises WrongLines.
    """
    events: list[PredictionLogged] = []
    errors: list[LineError] = []
    seen: dict[str, int] = {}
    for number, line in lines:
        try:
            given = _given(line)
            event = given.logged(id_of(number), subject_of(given.user), moment)
        except ValidationError as error:
            errors += _errors(number, error)
            continue
        workload = workloads.get(event.workload)
        problem = (
            UNKNOWN_WORKLOAD
            if workload is None
            else why_invalid(event, workloads.labels(event.workload, workload.revision))
        )
        if problem is not None:
            field, _, said = problem.rpartition(": ")
            errors.append(LineError(number, field or "workload", said))
        elif (before := seen.setdefault(event.prediction_id, number)) != number:
            errors.append(LineError(number, "prediction_id", f"stands in line {before} already"))
        elif len(event.model_dump_json()) > MOST_EVENT_BYTES:
            errors.append(LineError(number, "line", f"is longer than {MOST_EVENT_BYTES} bytes"))
        events.append(event)
    if errors:
        raise WrongLines(errors, len(lines))
    return events


def _given(line: Any) -> PredictionGiven:
    if isinstance(line, bytes):
        return PredictionGiven.model_validate_json(line)
    return PredictionGiven.model_validate(line)


def _errors(number: int, error: ValidationError) -> Iterator[LineError]:
    for row in error.errors(include_url=False, include_input=False, include_context=False):
        yield LineError(number, ".".join(map(str, row["loc"])) or "line", row["msg"])
