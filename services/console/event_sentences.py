"""What each event is called in the live list, without a word that a user wrote."""

from __future__ import annotations

from enum import StrEnum

from services.console.figures import count, percent, points
from shared import events as e
from shared.events.envelope import Event


class Tone(StrEnum):
    """What a colour means, here and on every page. A sign stands beside each."""

    NEUTRAL = "neutral"
    CHAMPION = "champion"
    CANDIDATE = "candidate"
    GOOD = "good"
    ERROR = "error"


PLENTY: dict[str, tuple[str, str]] = {
    e.PredictionReported.topic.name: ("request reported by an app", "requests reported by apps"),
    e.PredictionLogged.topic.name: ("request answered", "requests answered"),
    e.FeedbackReported.topic.name: ("signal passed on by an app", "signals passed on by apps"),
    e.FeedbackGiven.topic.name: ("user gave feedback", "signals from users"),
    e.PredictionFlagged.topic.name: ("answer flagged for review", "answers flagged for review"),
    e.ReviewGiven.topic.name: ("review given", "reviews given"),
    e.PredictionCorrected.topic.name: ("right answer agreed", "right answers agreed"),
    e.ShadowPairRecorded.topic.name: ("shadow pair recorded", "shadow pairs recorded"),
}
"""Topics of many events, told by their number."""


def many(kind: str, times: int, *, is_estimate: bool = False) -> str:
    """ "37 requests answered", for a topic in PLENTY."""
    return f"{'about ' if is_estimate else ''}{count(times, *PLENTY[kind])}"


def sentence_of(event: Event) -> tuple[str, Tone]:
    """Raises ValueError for an event that this console does not know."""
    if event.topic.name in PLENTY:
        return many(event.topic.name, 1), Tone.NEUTRAL
    match event:
        case e.WorkloadAdded(is_retired=True):
            return f"Workload {event.name} retired; its data are kept", Tone.NEUTRAL
        case e.WorkloadAdded():
            again = "changed" if event.revision > 1 else "added"
            rows = count(event.rows.rows, "labelled row")
            return (
                f"Workload {event.name} {again}: {rows}, {len(event.definition.labels)} labels",
                Tone.NEUTRAL,
            )
        case e.CycleRequested():
            return f"Cycle asked for by {event.requested_by}: {event.reason}", Tone.NEUTRAL
        case e.CycleStarted():
            known = f"{count(event.failures.rows, 'failure')}, {count(event.corrections.rows, 'correction')}"
            return f"Cycle started by {event.requested_by}: {event.reason}; {known}", Tone.NEUTRAL
        case e.FailureClustersFound():
            failures = f"{count(event.failures.rows, 'failure')} in {count(len(event.clusters), 'cluster')}"
            return f"{failures}, {count(event.corrections.rows, 'correction')} up to the cutoff", Tone.NEUTRAL
        case e.DatasetPublished():
            blocked = f"{event.counts.leaks_blocked} leaks blocked"
            rows = count(event.train.rows, "row")
            return (
                f"Dataset v{event.version}: {rows}, {event.counts.corrected} corrected, {blocked}",
                Tone.NEUTRAL,
            )
        case e.DatasetRefused():
            return f"No dataset: {event.reason}", Tone.ERROR
        case e.TrainingRequested():
            said = f"Training asked for by {event.requested_by}: {event.reason}"
            return said, Tone.NEUTRAL
        case e.RunCancelRequested():
            return f"{event.requested_by} wants a run to end: {event.reason}", Tone.NEUTRAL
        case e.CandidateTrained():
            steps = count(event.steps, "step")
            return f"{event.candidate.name} trained: {steps}, loss {event.final_loss:.2f}", Tone.CANDIDATE
        case e.TrainingFailed():
            return f"Training failed: {event.reason}", Tone.ERROR
        case e.CandidateEvaluated():
            return _evaluated(event), Tone.CANDIDATE
        case e.CandidateJudged():
            tone = Tone.GOOD if event.verdict is e.Verdict.PROMOTE else Tone.CANDIDATE
            return f"{event.verdict} {event.candidate.name}: {event.reason}", tone
        case e.ModelPromoted():
            return f"{event.champion.name} now answers users", Tone.CHAMPION
        case e.RollbackRequested():
            return f"{event.requested_by} wants the previous champion back: {event.reason}", Tone.NEUTRAL
        case e.ModelRolledBack():
            return (
                f"Rolled back: {event.champion.name} answers again, {event.withdrawn} is withdrawn",
                Tone.ERROR,
            )
    raise ValueError(f"{type(event).__name__} has no sentence: give it one in event_sentences.py")


def _evaluated(event: e.CandidateEvaluated) -> str:
    card = event.scorecard
    said = f"{event.candidate.name}: {percent(card.held_out.value)} of {card.held_out.n} held-out rows right"
    if card.held_out_difference is None:
        return said
    return f"{said}, {points(card.held_out_difference.delta)} points to the champion"
