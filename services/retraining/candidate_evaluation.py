"""From a trained adapter to its scorecard, beside the champion's and the base model's answers."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict

from services.retraining.asked_model import Asked
from services.retraining.base_model_prompt import Listed, base_model_contract, listing, what_fits
from services.retraining.evaluation_progress import Count
from services.retraining.examiner import Examiner
from services.retraining.job_messages import EvaluateResult, EvaluateTask
from services.retraining.judged_rows import as_json, judged_rows, lacking
from services.retraining.questions import Answer, Question, questions
from services.retraining.scorecard import HELD_OUT, scorecard
from services.retraining.settings import Settings
from services.retraining.store import ModelAnswers
from shared.adapters.contract import AdapterContract
from shared.adapters.label_contract import LabelContract
from shared.adapters.loading import AdapterLoading
from shared.adapters.refusals import AdapterRefused
from shared.events import CandidateEvaluated, FrozenAdapter, now
from shared.files import DigestMismatch, Files
from shared.job_protocol import Refused, Report
from shared.model_server import ModelServerRefused

log = logging.getLogger(__name__)


async def evaluate_candidate(
    task: EvaluateTask, loading: AdapterLoading, settings: Settings, report: Report
) -> EvaluateResult:
    """Asks the candidate everything, the champion everything, the base model the held-out rows.

    Each adapter is asked by its own contract. What a model has answered before is not asked again. The
    candidate stays loaded: the shadow comes next. A champion that cannot be asked, because its own files
    condemn it or the model server does not take it, is compared with nothing, and the scorecard says why: no
    model could ever take its place else. Raises Refused, AdapterRefused, DigestMismatch, FileNotFoundError,
    ModelServerDown.
    """
    files = loading.files
    start = time.monotonic()
    added = task.added
    everything = questions(
        list(files.rows(task.dataset.held_out)), list(files.rows(task.dataset.golden)), added
    )
    held_out = [question for question in everything if question.axis == HELD_OUT]
    contract = await loading.contract_of(task.trained.candidate)
    candidate = Asked(everything, task.trained.candidate, LabelContract.of(contract))
    champion, refused = await _champion(task.champion, everything, loading)
    count = Count(len(everything), report)
    examiner = Examiner(loading, settings.at_once, settings.patience_seconds, count.one_more, count.waits)
    with _refused_for_good():
        # The candidate before its base model: loading it says in words if that is not served here.
        await examiner.load(task.trained.candidate)
        listed = await _listed(contract, held_out, examiner)
    base = Asked(held_out, contract.base_model, base_model_contract(contract, listed))
    asked = [one for one in (champion, candidate, base) if one is not None]
    for one in asked:
        one.answers = _known(one, task.known, files)
    left = [one for one in asked if one.answers is None]
    count.start_again(sum(len(one.questions) for one in left))
    if champion is not None and (refused := await _refusal(champion, examiner)):
        left = [one for one in left if one is not champion]
        count.start_again(sum(len(one.questions) for one in left))
        champion = None
    with _refused_for_good():
        for one in left:
            if one is not champion:
                one.answers = await examiner.answers(one.questions, one.model, one.asked_by)
    if too_long := candidate.too_long():
        raise Refused(
            f"{too_long} of {len(everything)} texts are too long for the candidate's own prompt. Shorten the "
            "prompt or the texts, or use a base model with a longer context."
        )
    rows = judged_rows(candidate, champion, base, added.definition)
    aside = {
        "champion_refused": refused,
        "champion_too_long": champion.too_long() if champion else 0,
        "base_model_untold": listed is Listed.NOTHING,
    }
    lacks = lacking(added.definition, champion.asked_by.token_of) if champion else []
    card = scorecard(rows, added.definition.labels, added.definition.promotion.golden_drop, lacks)
    evaluated = CandidateEvaluated(
        run_id=task.run_id,
        workload=added.name,
        dataset_id=task.dataset.dataset_id,
        cycle_id=task.dataset.cycle_id,
        cutoff=task.dataset.cutoff,
        candidate=task.trained.candidate,
        champion=task.champion.name if task.champion and champion else None,
        scorecard=card.model_copy(update=aside),
        answers=files.freeze_rows(f"evaluations/{added.name}/{task.run_id}", [as_json(row) for row in rows]),
        seconds=time.monotonic() - start,
        evaluated_at=now(),
    )
    return EvaluateResult(evaluated=evaluated, answers=[_frozen(one, added.name, files) for one in left])


async def _listed(contract: AdapterContract, held_out: Sequence[Question], examiner: Examiner) -> Listed:
    """What the base model is told of its labels: all held-out rows are asked alike, the longest too."""
    lists = {listed: listing(contract, listed) for listed in (Listed.NAMES, Listed.WORDS)}
    prompts = [contract.prompt_for(question.text) for question in held_out]
    counts = await examiner.tokens(contract.base_model, [*lists.values(), *prompts])
    tokens = dict(zip(lists, counts, strict=False))  # the prompts' follow
    longest = max(counts[len(lists) :], default=0)
    return what_fits(tokens, longest, await examiner.context(contract.base_model))


@contextmanager
def _refused_for_good() -> Iterator[None]:
    try:
        yield
    except ModelServerRefused as error:
        raise Refused(f"the evaluation cannot go on: {error}") from error


async def _champion(
    champion: FrozenAdapter | None, everything: Sequence[Question], loading: AdapterLoading
) -> tuple[Asked | None, str]:
    """What the champion is to be asked, by its contract; or why its own files let nobody ask it."""
    if champion is None:
        return None, ""
    try:
        contract = await loading.contract_of(champion)
    except (AdapterRefused, FileNotFoundError) as error:
        return None, _said_of(champion.name, error)
    return Asked(everything, champion, LabelContract.of(contract)), ""


async def _refusal(champion: Asked, examiner: Examiner) -> str:
    """Asks the champion what is not known of it; gives why it cannot be asked, "" if it can.

    Known answers of one that the model server does not take help nobody: it answers no request in the shadow.
    """
    assert isinstance(champion.model, FrozenAdapter)
    try:
        if champion.answers is not None:
            await examiner.load(champion.model)
        else:
            champion.answers = await examiner.answers(champion.questions, champion.model, champion.asked_by)
    except (AdapterRefused, FileNotFoundError, ModelServerRefused) as error:
        return _said_of(champion.model.name, error)
    return ""


def _said_of(champion: str, error: Exception) -> str:
    log.error("%s: the champion is refused, the candidate is compared with nobody: %s", champion, error)
    return str(error)


def _known(asked: Asked, known: Sequence[ModelAnswers], files: Files) -> list[Answer] | None:
    """What it answered in an earlier evaluation; None to ask it now, also where those answers are lost."""
    for one in known:
        if (one.model, one.questions_digest) == (asked.identity, asked.digest):
            try:
                return [Answer(**row) for row in files.rows(one.file)]
            except (DigestMismatch, FileNotFoundError) as error:
                log.warning("%s is asked again, its earlier answers are lost: %s", asked.identity, error)
    return None


def _frozen(asked: Asked, workload: str, files: Files) -> ModelAnswers:
    rows = [asdict(answer) for answer in asked.answers or ()]
    file = files.freeze_rows(f"evaluations/{workload}/answers", rows)
    return ModelAnswers(model=asked.identity, questions_digest=asked.digest, file=file)
