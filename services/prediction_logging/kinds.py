"""The two kinds of event that apps send: what they read from, and what they become."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from services.prediction_logging.given import (
    FeedbackOnAnswer,
    PredictionRead,
    read_prediction,
)
from services.prediction_logging.intake import Event, Judged, LineError
from services.prediction_logging.invalid_predictions import why_invalid
from services.prediction_logging.prediction_records import prediction_record
from services.prediction_logging.request_keys import RequestKey
from services.prediction_logging.sent import PredictionSent, read_sent
from services.prediction_logging.sent_events import KIND, events_of
from shared.events import FeedbackGiven, record
from shared.projections import Workloads

UNKNOWN_WORKLOAD = "its workload is not known"
FOREIGN_WORKLOAD = "this key is for other workloads"

SubjectOf = Callable[[str | None], str | None]
"""The subject_id of a user that an app names."""


@dataclass(frozen=True)
class Predictions:
    """Of apps that run a model of their own."""

    workloads: Workloads
    subject_of: SubjectOf = field(repr=False)
    only: Collection[str] | None = None
    name = KIND
    id_field = "prediction_id"
    read = staticmethod(read_prediction)

    def of(self, workloads: Collection[str]) -> Predictions:
        return replace(self, workloads=self.workloads.only(workloads), only=workloads)

    def event(self, given: PredictionRead, line: int, key: RequestKey, moment: datetime) -> Event | LineError:
        added = self.workloads.get(given.workload)
        if added is None:
            return LineError(line, "workload", _why_not(given.workload, self.only))
        labels = self.workloads.labels(given.workload, added.revision)
        if (problem := why_invalid(given, labels)) is not None:
            where, _, said = problem.partition(": ")
            return LineError(line, where, said)
        workload, made = given.workload, given.prediction_id
        is_new = made is None and key.is_new
        if made is None:
            made = key.id_of(self.name, workload, line)
        return Event(
            line,
            made,
            workload,
            hash((self.name, workload, made)),
            hash((given.input, given.answer, given.adapter, given.confidence)),
            is_new,
            prediction_record(
                given,
                made,
                given.predicted_at or moment.isoformat(),
                self.subject_of(given.user),
                added.revision,
            ),
        )

    def events(
        self, body: bytes, most: int, key: RequestKey, moment: datetime, *, is_lines: bool
    ) -> Judged | None:
        sent = read_sent(body, most, is_lines=is_lines)
        revisions = self._revisions(sent.predictions) if sent is not None else None
        if sent is None or revisions is None:
            return None
        return events_of(sent, key, moment, revisions, self.subject_of)

    def _revisions(self, predictions: Sequence[PredictionSent]) -> dict[str, int] | None:
        """By workload; None if one is not known, or a name is no label of its workload."""
        known = {name: self.workloads.get(name) for name in {one.workload for one in predictions}}
        revisions = {name: added.revision for name, added in known.items() if added is not None}
        if len(revisions) < len(known):
            return None
        for name, revision in revisions.items():
            of = [one for one in predictions if one.workload == name] if len(known) > 1 else predictions
            said = {one.answer for one in of}
            said.update(*[one.probabilities for one in of if one.probabilities])
            if not said <= self.workloads.labels(name, revision):
                return None
        return revisions


@dataclass(frozen=True)
class Feedback:
    """What users say of answers. The prediction may be logged later, or under another workload by mistake."""

    workloads: Workloads
    subject_of: SubjectOf = field(repr=False)
    only: Collection[str] | None = None
    name = "feedback"
    id_field = "feedback_id"
    read = staticmethod(FeedbackOnAnswer.model_validate_json)

    def of(self, workloads: Collection[str]) -> Feedback:
        return replace(self, workloads=self.workloads.only(workloads), only=workloads)

    def events(self, body: bytes, most: int, key: RequestKey, moment: datetime, *, is_lines: bool) -> None:
        return None

    def event(
        self, given: FeedbackOnAnswer, line: int, key: RequestKey, moment: datetime
    ) -> Event | LineError:
        if self.workloads.get(given.workload) is None:
            return LineError(line, "workload", _why_not(given.workload, self.only))
        made = given.feedback_id or key.id_of(self.name, given.workload, line)
        event = FeedbackGiven(
            feedback_id=made,
            prediction_id=given.prediction_id,
            workload=given.workload,
            thumb=given.thumb,
            score=given.score,
            comment=given.comment,
            subject_id=self.subject_of(given.user),
            group_id=given.group_id,
            given_at=moment,
        )
        return Event(
            line,
            made,
            given.workload,
            hash((self.name, given.workload, made)),
            hash((given.prediction_id, given.thumb, given.score, given.comment)),
            given.feedback_id is None and key.is_new,
            record(event, "prediction_logging"),
        )


def _why_not(workload: str, only: Collection[str] | None) -> str:
    """Of one that is not known to whoever sends it: whether it is there at all, is for others to know."""
    return UNKNOWN_WORKLOAD if only is None or workload in only else FOREIGN_WORKLOAD
