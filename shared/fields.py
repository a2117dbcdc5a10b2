"""The types that event fields share, with the limits every way in enforces."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

MAX_TEXT_BYTES = 64 * 1024


def _not_too_long(text: str) -> str:
    if len(text.encode("utf-8", "surrogatepass")) > MAX_TEXT_BYTES:
        raise ValueError(f"longer than {MAX_TEXT_BYTES // 1024} KiB")
    return text


def _well_formed(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("holds a lone surrogate, which no UTF-8 can carry") from None
    return text


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("has no time zone")
    moment = moment.astimezone(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


Text = Annotated[
    str, StringConstraints(min_length=1), AfterValidator(_well_formed), AfterValidator(_not_too_long)
]
"""What a user wrote: not empty, at most 64 KiB of UTF-8."""
Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,128}$")]
WorkloadName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_well_formed)]
"""A label, an adapter, a reviewer."""
Share = Annotated[float, Field(ge=0, le=1)]
Moment = Annotated[datetime, AfterValidator(_in_utc)]
"""A time with its zone, kept in UTC to the millisecond."""


class Part(BaseModel):
    """A part of an event."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class FrozenFile(Part):
    """Bulk that an event points to: it never changes, and its digest proves it."""

    uri: str
    """Below the files' root; version 0.1 wrote absolute ones. Only `shared/files.py` reads it."""
    digest: Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
    rows: int = Field(ge=0)


class FrozenAdapter(Part):
    """A folder with an adapter's files. The digest covers every file's name and content."""

    name: Name
    uri: str
    digest: Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
    base_model: Name


class Rate(Part):
    """A share of n with its 95 % interval (Wilson 1927)."""

    n: int = Field(ge=0)
    hits: int = Field(ge=0)
    low: Share
    high: Share

    @property
    def value(self) -> float:
        return self.hits / self.n if self.n else 0.0


class Difference(Part):
    """Candidate minus champion on the same n rows: a paired difference of shares, with its 95 % interval."""

    n: int = Field(ge=0)
    delta: float
    low: float
    high: float
    detects: float = Field(ge=0)
    """The smallest drop that n rows with this many disagreements show with a power of 80 %."""
