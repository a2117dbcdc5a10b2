"""Predictions that were read all at once become events, column by column."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import repeat
from operator import attrgetter

import msgspec
from msgspec import UNSET

from services.prediction_logging.intake import Judged
from services.prediction_logging.prediction_records import prediction_records
from services.prediction_logging.request_keys import RequestKey
from services.prediction_logging.sent import Sent

KIND = "prediction"
_content = attrgetter("input", "answer", "adapter", "confidence")
_encode = msgspec.json.Encoder().encode


def events_of(
    sent: Sent,
    key: RequestKey,
    moment: datetime,
    revisions: Mapping[str, int],
    subject_of: Callable[[str | None], str | None],
) -> Judged:
    """`revisions`: by workload, of the definitions as they stand."""
    predictions, now = sent.predictions, moment.isoformat()
    workloads = [one.workload for one in predictions]
    ids = [
        key.id_of(KIND, one.workload, number) if one.prediction_id is UNSET else one.prediction_id
        for number, one in enumerate(predictions, 1)
    ]
    times = [now if one.predicted_at is UNSET else one.predicted_at for one in predictions]
    if sent.lines:
        tails = {workload: _tail(None, revision) for workload, revision in revisions.items()}
        values = [line[:-1] + tails[name] for line, name in zip(sent.lines, workloads, strict=True)]
    else:
        values = []
        for one, made, time in zip(predictions, ids, times, strict=True):
            subject = None if one.user is UNSET else subject_of(one.user)
            one.prediction_id, one.predicted_at, one.user = made, time, UNSET
            values.append(_encode(one)[:-1] + _tail(subject, revisions[one.workload]))
    places = map(hash, zip(repeat(KIND), workloads, ids))
    return Judged(
        range(1, len(ids) + 1),
        ids,
        dict(zip(places, map(hash, map(_content, predictions)), strict=False)),
        prediction_records(workloads, ids, times, values),
        sizes=_sizes(workloads, values),
    )


def _sizes(workloads: Sequence[str], values: Sequence[bytes]) -> dict[str, int]:
    """Workload → bytes of its values."""
    if len(set(workloads)) == 1:
        return {workloads[0]: sum(map(len, values))}
    sizes: dict[str, int] = defaultdict(int)
    for workload, value in zip(workloads, values, strict=True):
        sizes[workload] += len(value)
    return dict(sizes)


def _tail(subject_id: str | None, revision: int) -> bytes:
    """What comes behind a prediction's own fields in its event's JSON."""
    if subject_id is None:
        return b',"revision":%d,"written_by":"app"}' % revision
    return b',"subject_id":%b,"revision":%d,"written_by":"app"}' % (_encode(subject_id), revision)
