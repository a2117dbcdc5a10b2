"""Predictions of a body that are read all at once, where none of them is out of the ordinary.

What is read here `read_prediction` would read the same. A body of which it would read anything otherwise, or
refuse it, is not read here at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, NamedTuple

import msgspec
from msgspec import UNSET, Meta, UnsetType

from services.prediction_logging.body_lines import is_array
from services.prediction_logging.given import WORKLOAD_NAME, utc
from shared.fields import ID_CHARACTERS, MAX_TEXT_BYTES, MOST_ITEMS

_DIGITS_AS_ZERO = bytes.maketrans(b"123456789", b"000000000")
_TIMES_IN_UTC = (  # that say no more than is kept
    b"0000-00-00T00:00:00.000+00:00",
    b"0000-00-00T00:00:00.000Z",
    b"0000-00-00T00:00:00+00:00",
    b"0000-00-00T00:00:00Z",
)
_MOST_FOR_SURE = MAX_TEXT_BYTES // 4  # characters that take no more bytes, whichever they are
_Id = Annotated[str, Meta(min_length=1, max_length=128)]
_Name = Annotated[str, Meta(min_length=1, max_length=200)]
_Share = Annotated[float, Meta(ge=0, le=1)]


class PredictionSent(msgspec.Struct, gc=False, forbid_unknown_fields=True, kw_only=True):
    """A prediction as an app sends it, without null and with nothing to be put right.

    Its JSON is its event's, once it has an id and a time, names no user, and is given revision and writer.
    """

    prediction_id: _Id | UnsetType = UNSET
    workload: str
    predicted_at: str | UnsetType = UNSET
    input: Annotated[str, Meta(min_length=1, max_length=MAX_TEXT_BYTES)]
    answer: _Name
    confidence: _Share
    probabilities: Annotated[dict[_Name, _Share], Meta(max_length=MOST_ITEMS)] | UnsetType = UNSET
    adapter: _Name
    latency_ms: Annotated[float, Meta(ge=0, le=1e12)] | UnsetType = UNSET
    tokens_in: Annotated[int, Meta(ge=0, le=2**32 - 1)] | UnsetType = UNSET
    attributes: Annotated[dict[str, str], Meta(max_length=MOST_ITEMS)] | UnsetType = UNSET
    user: Annotated[str, Meta(max_length=MAX_TEXT_BYTES)] | UnsetType = UNSET
    group_id: _Id | UnsetType = UNSET


_one = msgspec.json.Decoder(PredictionSent).decode
_many = msgspec.json.Decoder(list[PredictionSent]).decode


class Sent(NamedTuple):
    predictions: list[PredictionSent]
    lines: list[bytes]
    """Of each its JSON, where all of them are their events' but for the revision; else none."""


def read_sent(body: bytes, most: int, *, is_lines: bool) -> Sent | None:
    """At most so many of JSON Lines or an array. None: they are to be read one by one."""
    lines: list[bytes] = []
    try:
        if is_lines:
            lines = body.removesuffix(b"\n").split(b"\n", most)
            predictions = list(map(_one, lines))
        elif is_array(body):
            predictions = _many(body)
        else:
            return None
    except ValueError:  # msgspec's errors are such
        return None
    if not 0 < len(predictions) <= most or (lines and max(map(len, lines)) > MAX_TEXT_BYTES):
        return None
    if not lines and any(len(one.input) > _MOST_FOR_SURE for one in predictions):
        return None
    ids = _said([one.prediction_id for one in predictions])
    times = _said([one.predicted_at for one in predictions])
    others = _said([one.group_id for one in predictions])
    if not (
        all(map(WORKLOAD_NAME.fullmatch, {one.workload for one in predictions}))
        and _are_ids("".join(ids + others))
    ):
        return None
    are_whole = (
        len(ids) == len(times) == len(predictions)
        and not _said([one.user for one in predictions])
        and all(line[-1:] == b"}" for line in lines)
    )
    if not _are_utc(times):
        are_whole = False
        try:
            for one in predictions:
                one.predicted_at = UNSET if one.predicted_at is UNSET else utc(one.predicted_at)
        except ValueError:
            return None
    return Sent(predictions, lines if are_whole else [])


def _said(values: Iterable[str | UnsetType]) -> list[str]:
    return [value for value in values if value is not UNSET]


def _are_ids(joined: str) -> bool:
    """Of some between 1 and 128 characters each; those that OpenAI clients see stand for others."""
    return "cmpl-" not in joined and not joined.encode().translate(None, ID_CHARACTERS)


def _are_utc(times: Sequence[str]) -> bool:
    """Whether all are times in UTC from 1970 to 2199, all written in one and the same form."""
    if not times:
        return True
    written = "".join(times).encode()
    form = written[: len(times[0])].translate(_DIGITS_AS_ZERO)
    if form not in _TIMES_IN_UTC or written.translate(_DIGITS_AS_ZERO) != form * len(times):
        return False
    try:
        list(map(datetime.fromisoformat, times))  # there are months of 30 days
    except ValueError:
        return False
    return min(times) >= "1970" and max(times) < "2200"
