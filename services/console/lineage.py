"""The chain behind one candidate: from its verdict back to the answers that reviewers corrected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.console import page_queries
from services.console.cycle_status import Snapshot
from services.console.figures import count
from shared.events import Confusion, LabelScore, Scorecard

MOST_CONFUSIONS = 8


@dataclass(frozen=True)
class Link:
    """One thing in the chain; `identity` is what one looks it up by (an id, a digest, a URI)."""

    title: str
    sentence: str
    identity: str
    at: datetime | None


@dataclass(frozen=True)
class Origin:
    """What only the chain needs to know: the cycle's clusters, and the corrections up to its cutoff."""

    cycle: page_queries.Cycle | None
    clusters: Sequence[page_queries.Cluster]
    corrections: int


@dataclass(frozen=True)
class LabelBar:
    """One label's F1 on held-out rows, of the candidate and of the champion, from 0 to 1."""

    label: str
    n: int
    candidate: float
    champion: float | None


def chain(now: Snapshot, run_id: str, origin: Origin) -> list[Link]:
    """From the newest to the oldest; what the views do not know (yet) is left out."""
    verdict = next((one for one in now.verdicts if one.run_id == run_id), None)
    pairs = next((one for one in now.pairs if one.run_id == run_id), None)
    scored = next((one for one in now.evaluations if one.run_id == run_id), None)
    run = next((one for one in now.runs if one.run_id == run_id), None)
    dataset_id = next((one.dataset_id for one in (verdict, scored, run) if one), "")
    dataset = next((one for one in now.datasets if one.dataset_id == dataset_id), None)
    links = []
    if verdict:
        said = f"{verdict.verdict}: {verdict.reason}"
        links.append(Link("Verdict", said, run_id, verdict.judged_at))
    if pairs:
        differ = f"{pairs.differing:,} answered differently by the two models"
        links.append(
            Link("Shadow pairs", f"{count(pairs.pairs, 'request')}, {differ}", run_id, pairs.last_at)
        )
    if run:
        made = f"{count(run.steps, 'step')}, final loss {run.final_loss:.2f}, {run.seconds:.0f} s"
        links.append(Link("Adapter", made, run.candidate or run.run_id, run.changed_at))
    if dataset:
        counts = dataset.counts
        rows = f"v{dataset.version}: {counts.seed:,} seed and {counts.corrected:,} corrected rows"
        apart = f"{counts.leaks_blocked:,} leaks blocked, {counts.redacted_values:,} personal values redacted"
        links.append(Link("Dataset", f"{rows}, {apart}", dataset.train_digest, dataset.published_at))
        links.append(Link("Manifest", "Every row with where it came from", dataset.manifest_uri, None))
    if origin.clusters:
        named = ", ".join(f"“{one.name}” {one.size}" for one in origin.clusters)
        links.append(Link("Clusters of failures", named, "", origin.clusters[0].found_at))
    if origin.cycle:
        asked = f"Started by {origin.cycle.requested_by}: {origin.cycle.reason}"
        links.append(Link("Cycle", asked, origin.cycle.cycle_id, origin.cycle.cutoff))
        known = f"{count(origin.corrections, 'answer')} that reviewers had agreed on at the cutoff"
        links.append(Link("Corrections", known, "", origin.cycle.cutoff))
    elif dataset:
        links.append(Link("Seed rows", "The workload's own labelled rows: version 1 has no cycle.", "", None))
    return links


def label_bars(scores: Sequence[LabelScore]) -> list[LabelBar]:
    """Where the candidate lost most against the champion comes first."""
    bars = [LabelBar(one.label, one.n, one.f1, one.champion_f1) for one in scores]
    return sorted(bars, key=lambda bar: (bar.candidate - (bar.champion or 0.0), bar.label))


def confusions(card: Scorecard) -> list[Confusion]:
    """The readings that changed most between champion and candidate."""
    changed = [one for one in card.confusions if one.candidate or one.champion]
    return sorted(changed, key=lambda one: -abs((one.champion or 0) - one.candidate))[:MOST_CONFUSIONS]
