"""What apps send: one prediction, or one user's signal on an answer.

The models have the word. msgspec reads a prediction in a fraction of their time, and only what they would
read the same way; whatever it refuses goes to them. A field nobody knows is an error: it may be misspelt.
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, Self

import msgspec
from pydantic import ConfigDict, Field, model_validator

from shared.events import Thumb
from shared.fields import (
    ID_PATTERN,
    MAX_RECORD_BYTES,
    MAX_TEXT_BYTES,
    MOST_ITEMS,
    WORKLOAD_NAME_PATTERN,
    Attributes,
    Count,
    Id,
    Milliseconds,
    Moment,
    Name,
    Paragraph,
    Part,
    PredictionId,
    Share,
    Text,
    WorkloadName,
    as_share,
    bytes_of,
    in_utc,
    own_id,
)

ID = re.compile(ID_PATTERN)
WORKLOAD_NAME = re.compile(WORKLOAD_NAME_PATTERN)
RFC_3339 = re.compile(
    r"(?:19[7-9]|2[01][0-9])[0-9]-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{3}|\.[0-9]{6})?"
    r"(?:Z|([+-][0-9]{2}:[0-9]{2}))"
)
"""A time as nearly every program writes it. Other spellings are left to the model."""
User = Annotated[Annotated[str, Field(max_length=MAX_TEXT_BYTES)] | None, Field(repr=False)]
"""The app's own name for its user. It goes no further than its `subject_id`."""


class Given(Part):
    model_config = ConfigDict(extra="forbid")


class PredictionGiven(Given):
    """One prediction as an app sends it that runs a model of its own."""

    prediction_id: PredictionId | None = None
    workload: WorkloadName
    predicted_at: Moment | None = None
    input: Text
    answer: Name
    confidence: Share
    probabilities: Annotated[dict[Name, Share], Field(max_length=MOST_ITEMS)] = Field(default_factory=dict)
    adapter: Name
    """Whatever names the model that answered. It is kept as `said_model`, and is no adapter of ours."""
    latency_ms: Milliseconds = 0
    tokens_in: Count = 0
    attributes: Attributes = Field(default_factory=dict)
    user: User = None
    group_id: Id | None = None


class FeedbackOnAnswer(Given):
    """A user's signal on one answer, as an app sends it."""

    feedback_id: Id | None = None
    prediction_id: PredictionId
    workload: WorkloadName
    thumb: Thumb | None = None
    score: Share | None = None
    comment: Paragraph | None = None
    user: User = None
    group_id: Id | None = None

    @model_validator(mode="after")
    def _is_not_empty(self) -> Self:
        if self.thumb is None and self.score is None and not self.comment:
            raise ValueError("give at least one of thumb, score, comment")
        return self


_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class PredictionRead(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A PredictionGiven that has been read, by whichever of the two."""

    workload: Annotated[str, msgspec.Meta(max_length=40)]
    input: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT_BYTES)]
    answer: _Name
    confidence: float
    adapter: _Name
    prediction_id: str | None = None
    predicted_at: Any = None  # read as it stands; then text in UTC as RFC 3339 has it, or None
    probabilities: dict[_Name, float] | None = None
    latency_ms: Annotated[float, msgspec.Meta(ge=0, le=1e12)] | None = None
    tokens_in: Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)] | None = None
    attributes: dict[str, str] | None = None
    user: Annotated[str, msgspec.Meta(max_length=MAX_TEXT_BYTES)] | None = None
    group_id: str | None = None


_one = msgspec.json.Decoder(PredictionRead)


def read_prediction(line: bytes) -> PredictionRead:
    """Raises pydantic's ValidationError."""
    try:
        return _settled(_one.decode(line), len(line))
    except ValueError:  # msgspec's errors are such
        model = PredictionGiven.model_validate_json(line)
        read = PredictionRead(**{name: getattr(model, name) for name in PredictionRead.__struct_fields__})
        if model.predicted_at is not None:
            read.predicted_at = model.predicted_at.isoformat()
        return read


def _settled(read: PredictionRead, size: int) -> PredictionRead:
    """What the types above do not say, of something read from `size` bytes. Raises ValueError."""
    if size > MAX_TEXT_BYTES and (size > MAX_RECORD_BYTES or bytes_of(read.input) > MAX_TEXT_BYTES):
        raise ValueError
    if not _is_workload_name(read.workload):
        raise ValueError
    if read.prediction_id is not None:
        if not ID.fullmatch(read.prediction_id):
            raise ValueError
        if read.prediction_id[0] == "c":  # chatcmpl-, cmpl-
            read.prediction_id = own_id(read.prediction_id)
    if read.group_id is not None and not ID.fullmatch(read.group_id):
        raise ValueError
    if read.predicted_at is not None:
        read.predicted_at = utc(read.predicted_at)
    if not 0 <= read.confidence <= 1:
        read.confidence = as_share(read.confidence)
    if (shares := read.probabilities) and (min(shares.values()) < 0 or max(shares.values()) > 1):
        read.probabilities = {name: as_share(share) for name, share in shares.items()}
    return read


@lru_cache(1000)
def _is_workload_name(name: str) -> bool:
    return WORKLOAD_NAME.fullmatch(name) is not None


def utc(text: Any) -> str:
    """The same time in UTC, to the millisecond. Raises ValueError."""
    found = RFC_3339.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError
    moment = datetime.fromisoformat(text)  # there are months of 30 days
    if found[1] in (None, "+00:00") and len(text) in (20, 24, 25, 29):
        return str(text)
    return in_utc(moment).isoformat()
