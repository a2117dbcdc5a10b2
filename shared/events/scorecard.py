"""A candidate's scorecard: what CandidateEvaluated carries."""

from __future__ import annotations

from shared.fields import Difference, Name, Part, Rate


class LabelScore(Part):
    """How one label fares on the held-out rows: of `n` rows that carry it, with the champion's F1 beside."""

    label: Name
    n: int
    precision: float
    recall: float
    f1: float
    champion_f1: float | None


class Confusion(Part):
    """Held-out rows of one label that were read as another, by the champion and by the candidate."""

    right_answer: Name
    answer: Name
    n: int
    """Held-out rows with this right answer."""
    champion: int | None
    candidate: int


class AdversarialScore(Part):
    """One generator's rows: how many keep their right answer. Reported, gates nothing yet."""

    generator: Name
    n: int
    candidate: Rate
    champion: Rate | None


class Scorecard(Part):
    """Three axes: the task on held-out rows, the golden rows against the champion, adversarial rows."""

    held_out: Rate
    base_model: Rate
    """The untouched base model on the same held-out rows."""
    champion: Rate | None
    held_out_difference: Difference | None
    golden: Rate
    golden_difference: Difference | None
    golden_regressed: bool
    """True when the paired difference on the golden rows is −5 points or worse."""
    adversarial: list[AdversarialScore]
    labels: list[LabelScore]
    confusions: list[Confusion]
    majority_share: float
    """The share of the commonest held-out label: what a constant answer would score."""
    calibration_error: float
    """Expected calibration error, 10 equal-width bins (Guo et al. 2017)."""
