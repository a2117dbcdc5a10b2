"""From a trained adapter to its scorecard, beside the champion's and the base model's answers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from services.retraining.examiner import (
    Answer,
    Examiner,
    Question,
    questions,
    questions_digest,
)
from services.retraining.job_messages import EvaluateResult, EvaluateTask
from services.retraining.scorecard import HELD_OUT, Judged, scorecard
from services.retraining.settings import Settings
from services.retraining.store import ModelAnswers
from shared.events import CandidateEvaluated, FrozenAdapter, now
from shared.files import Files
from shared.job_protocol import JobProgress, Refused, Report
from shared.model_server import ModelServer, ModelServerRefused, PromptTooLong

ANSWERS_PER_PROGRESS = 50


@dataclass
class Asked:
    """Which questions go to which model, and what it answered, now or in an earlier evaluation."""

    questions: Sequence[Question]
    digest: str
    adapter: FrozenAdapter | None
    """None is the untouched base model."""
    model: str
    answers: list[Answer] | None = None


@dataclass
class Count:
    """Answers so far, said every fifty and at the end."""

    total: int
    report: Report
    done: int = field(default=0)

    def one_more(self) -> None:
        self.done += 1
        if self.done % ANSWERS_PER_PROGRESS == 0 or self.done == self.total:
            self.report(JobProgress(phase="evaluation", done=self.done, total=self.total))


async def evaluate_candidate(
    task: EvaluateTask, files: Files, models: ModelServer, settings: Settings, report: Report
) -> EvaluateResult:
    """Asks the candidate everything, the champion everything, the base model the held-out rows.

    What a model has answered before is not asked again. The candidate stays loaded: the shadow comes next.
    Raises Refused, DigestMismatch, FileNotFoundError, ModelServerDown.
    """
    start = time.monotonic()
    added = task.added
    everything = questions(
        list(files.rows(task.dataset.held_out)), list(files.rows(task.dataset.golden)), added
    )
    held_out = [question for question in everything if question.axis == HELD_OUT]
    all_digest, held_out_digest = questions_digest(everything, added), questions_digest(held_out, added)
    base_model = added.definition.base_model
    candidate = Asked(everything, all_digest, task.trained.candidate, task.trained.candidate.digest)
    base = Asked(held_out, held_out_digest, None, base_model)
    asked = [base, candidate]
    champion = None
    if task.champion is not None:
        champion = Asked(everything, all_digest, task.champion, task.champion.digest)
        asked.insert(0, champion)
    for one in asked:
        one.answers = _known(one, task.known, files)
    left = [one for one in asked if one.answers is None]
    count = Count(sum(len(one.questions) for one in left), report)
    examiner = Examiner(models, files, added, settings.at_once, settings.patience_seconds, count.one_more)
    try:
        for one in left:
            one.answers = await examiner.answers(one.questions, one.adapter)
    except (PromptTooLong, ModelServerRefused) as error:
        raise Refused(f"the evaluation cannot go on: {error}") from error
    rows = _judged(candidate, champion, base)
    evaluated = CandidateEvaluated(
        run_id=task.run_id,
        workload=added.name,
        dataset_id=task.dataset.dataset_id,
        cycle_id=task.dataset.cycle_id,
        cutoff=task.dataset.cutoff,
        candidate=task.trained.candidate,
        champion=task.champion.name if task.champion else None,
        scorecard=scorecard(rows, added.definition.labels, added.definition.promotion.golden_drop),
        answers=files.freeze_rows(f"evaluations/{added.name}/{task.run_id}", [_as_json(row) for row in rows]),
        seconds=time.monotonic() - start,
        evaluated_at=now(),
    )
    return EvaluateResult(evaluated=evaluated, answers=[_frozen(one, added.name, files) for one in left])


def _known(asked: Asked, known: Sequence[ModelAnswers], files: Files) -> list[Answer] | None:
    for one in known:
        if (one.model, one.questions_digest) == (asked.model, asked.digest):
            return [Answer(**row) for row in files.rows(one.file)]
    return None


def _frozen(asked: Asked, workload: str, files: Files) -> ModelAnswers:
    rows = [asdict(answer) for answer in asked.answers or ()]
    file = files.freeze_rows(f"evaluations/{workload}/answers", rows)
    return ModelAnswers(model=asked.model, questions_digest=asked.digest, file=file)


def _judged(candidate: Asked, champion: Asked | None, base: Asked) -> list[Judged]:
    by_place = {
        (question.axis, question.row): answer.label
        for question, answer in zip(base.questions, base.answers or (), strict=True)
    }
    answers = candidate.answers or []
    champions = champion.answers if champion else None
    return [
        Judged(
            axis=question.axis,
            row=question.row,
            right_answer=question.right_answer,
            candidate=answers[number].label,
            confidence=answers[number].confidence,
            champion=champions[number].label if champions else None,
            base=by_place.get((question.axis, question.row)),
        )
        for number, question in enumerate(candidate.questions)
    ]


def _as_json(row: Judged) -> dict[str, object]:
    return {key: value for key, value in asdict(row).items() if key != "confidence"}
