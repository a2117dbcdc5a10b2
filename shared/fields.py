"""The types that event fields share, with the limits every way in enforces.

Whatever passes them fits the tables' columns and a Kafka record. They refuse nothing that a released version
wrote: events are read for ever.
"""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

MAX_TEXT_BYTES = 64 * 1024
MAX_RECORD_BYTES = 1024 * 1024  # no record is longer: Kafka's own limit
MOST_ITEMS = 100_000  # in a list or map: more than a record has room for, if they say anything
ROUNDING = 1e-6  # a float32 softmax sums to 1.0000001
EARLIEST, END_OF_TIME = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
ID_PATTERN = r"^[A-Za-z0-9._:-]{1,128}$"
DIGEST = r"^sha256:[0-9a-f]{64}$"
ID_CHARACTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-"
WORKLOAD_NAME_PATTERN = r"^[a-z][a-z0-9-]{0,39}$"
_NANOSECONDS = re.compile(r"\.[0-9]{7}")
_VISIBLE_ID = re.compile(
    r"(?:chatcmpl|cmpl)-([0-9a-f]{8}-[0-9a-f]{4}-[57][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})\Z"
)


def bytes_of(text: str) -> int:
    """How long it is in UTF-8. Raises ValueError if it holds a lone surrogate."""
    if text.isascii():
        return len(text)
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        raise ValueError("holds a lone surrogate, which no UTF-8 can carry") from None


def _not_too_long(text: str) -> str:
    if bytes_of(text) > MAX_TEXT_BYTES:
        raise ValueError(f"longer than {MAX_TEXT_BYTES // 1024} KiB")
    return text


def _well_formed(text: str) -> str:
    bytes_of(text)
    return text


def _fits_a_record(attributes: dict[str, str]) -> dict[str, str]:
    if sum(bytes_of(name) + bytes_of(value) for name, value in attributes.items()) > MAX_RECORD_BYTES:
        raise ValueError(f"longer than {MAX_RECORD_BYTES // 1024} KiB")
    return attributes


def as_share(number: float) -> float:
    """`number`, put right where it lies outside 0 to 1 by no more than rounding. Raises ValueError."""
    if 0 <= number <= 1:
        return number
    if -ROUNDING <= number <= 1 + ROUNDING:
        return 0.0 if number < 0 else 1.0
    raise ValueError("must be from 0 to 1")


def in_utc(moment: datetime) -> datetime:
    """To the millisecond. Raises ValueError without a zone, or outside the years 1970 to 2199."""
    if moment.tzinfo is None:
        raise ValueError("has no time zone")
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:  # the year 1, east of Greenwich
        raise ValueError("must be from 1970 to 2199") from None
    if not EARLIEST <= moment < END_OF_TIME:
        raise ValueError("must be from 1970 to 2199")
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _to_the_microsecond(given: Any) -> Any:
    """Go and Java write nanoseconds: rounded, as the fast reader of predictions rounds them."""
    if isinstance(given, str) and _NANOSECONDS.search(given):
        with suppress(msgspec.ValidationError):
            return msgspec.convert(given, datetime)
    return given


def own_id(prediction_id: str) -> str:
    """The id of ours that stands behind what an OpenAI client sees; any other is as it is."""
    seen = _VISIBLE_ID.match(prediction_id)
    return seen[1] if seen else prediction_id


_MEASURED = (AfterValidator(_not_too_long), Field(json_schema_extra={"maxLength": MAX_TEXT_BYTES}))

Text = Annotated[str, StringConstraints(min_length=1), *_MEASURED]
"""What a user wrote: not empty, at most 64 KiB of UTF-8."""
Sentence = Annotated[str, *_MEASURED]
"""What is said to people, or a word of theirs: at most 64 KiB of UTF-8, and it may be empty."""
Paragraph = Annotated[str, StringConstraints(max_length=4000), AfterValidator(_well_formed)]
"""A comment, a prompt: it may be empty."""
Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
PredictionId = Annotated[Id, AfterValidator(own_id)]
"""OpenAI clients see our id behind `chatcmpl-` or `cmpl-`: both name the same prediction."""
WorkloadName = Annotated[str, StringConstraints(pattern=WORKLOAD_NAME_PATTERN)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_well_formed)]
"""A label, an adapter, a reviewer."""
Adapter = Annotated[str, StringConstraints(max_length=200), AfterValidator(_well_formed)]
"""The name of the adapter that answered; empty where an app's own model did."""
Uri = Annotated[str, StringConstraints(max_length=16 * 1024), AfterValidator(_well_formed)]
Attributes = Annotated[
    dict[
        Annotated[str, StringConstraints(max_length=MAX_RECORD_BYTES)],
        Annotated[str, StringConstraints(max_length=MAX_RECORD_BYTES)],
    ],
    Field(max_length=MOST_ITEMS),
    AfterValidator(_fits_a_record),
]
"""What an app wants to find again, in its own words."""
Share = Annotated[float, AfterValidator(as_share), Field(json_schema_extra={"minimum": 0, "maximum": 1})]
"""From 0 to 1; what rounding put beside it is put right."""
Number = Annotated[float, Field(ge=-sys.float_info.max, le=sys.float_info.max)]
Count = Annotated[int, Field(ge=0, le=2**32 - 1)]
Whole = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
"""A whole number as a column of 64 bits holds it."""
Milliseconds = Annotated[float, Field(ge=0, le=1e12)]
Moment = Annotated[
    datetime,
    BeforeValidator(_to_the_microsecond),
    AfterValidator(in_utc),
    Field(json_schema_extra={"description": "With its zone, from 1970 to 2199; kept to the millisecond."}),
]
"""A time with its zone, kept in UTC to the millisecond."""


class Part(BaseModel):
    """A part of an event."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _null_is_not_given(cls, given: Any) -> Any:
        """Many a language writes null for what it leaves out."""
        if not isinstance(given, dict) or None not in given.values():
            return given
        fields = cls.model_fields
        return {
            name: value
            for name, value in given.items()
            if value is not None or name not in fields or fields[name].is_required()
        }


class FrozenFile(Part):
    """Bulk that an event points to: it never changes, and its digest proves it."""

    uri: Uri
    """Below the files' root; version 0.1 wrote absolute ones. Only `shared/files/` reads it."""
    digest: Annotated[str, StringConstraints(pattern=DIGEST)]
    rows: Count


class FrozenAdapter(Part):
    """A folder with an adapter's files. The digest covers every file's name and content."""

    name: Name
    uri: Uri
    digest: Annotated[str, StringConstraints(pattern=DIGEST)]
    base_model: Name


class Rate(Part):
    """A share of n with its 95 % interval (Wilson 1927)."""

    n: Count
    hits: Count
    low: Share
    high: Share

    @property
    def value(self) -> float:
        return self.hits / self.n if self.n else 0.0


class Difference(Part):
    """Candidate minus champion on the same n rows: a paired difference of shares, with its 95 % interval."""

    n: Count
    delta: Number
    low: Number
    high: Number
    detects: Annotated[Number, Field(ge=0)]
    """The smallest drop that n rows with this many disagreements show with a power of 80 %."""
