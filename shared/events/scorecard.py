"""A candidate's scorecard: what CandidateEvaluated carries."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from shared.fields import MOST_ITEMS, Count, Difference, Name, Number, Part, Rate, Sentence


class LabelScore(Part):
    """How one label fares on the held-out rows: of `n` rows that carry it, with the champion's F1 beside."""

    label: Name
    n: Count
    precision: Number
    recall: Number
    f1: Number
    champion_f1: Number | None


class Confusion(Part):
    """Held-out rows of one label that were read as another, by the champion and by the candidate."""

    right_answer: Name
    answer: Name
    n: Count
    """Held-out rows with this right answer."""
    champion: Count | None
    candidate: Count


class AdversarialScore(Part):
    """One generator's rows: how many keep their right answer. Reported, gates nothing yet."""

    generator: Name
    n: Count
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
    adversarial: Annotated[list[AdversarialScore], Field(max_length=MOST_ITEMS)]
    labels: Annotated[list[LabelScore], Field(max_length=MOST_ITEMS)]
    confusions: Annotated[list[Confusion], Field(max_length=MOST_ITEMS)]
    majority_share: Number
    """The share of the commonest held-out label: what a constant answer would score."""
    calibration_error: Number
    """Expected calibration error, 10 equal-width bins (Guo et al. 2017)."""
    champion_lacks: Annotated[list[Name], Field(max_length=MOST_ITEMS)] = Field(default_factory=list)
    """Labels it was not trained on: rows with these right answers judge the candidate alone."""
    champion_too_long: Count = 0
    """Rows whose text its own prompt leaves no room for: they judge the candidate alone."""
    champion_refused: Sentence = ""
    """Why nobody may ask the adapter that answers: the candidate was then evaluated without a champion."""

    base_model_untold: bool = False
    """Its labels leave no room for the longest text: it was asked without a list of them."""

    @property
    def about_base_model(self) -> str:
        """What to know of its figure where that says little, else nothing."""
        if not self.base_model_untold:
            return ""
        return (
            "It was asked without a list of its labels, for which its context has no room beside the longest "
            "text, so this figure says little."
        )

    @property
    def compared_on(self) -> str:
        """What to know where the candidate is not compared with the champion on all rows, else nothing."""
        if self.champion_refused:
            return f"Compared with nobody, because the champion is refused: {self.champion_refused}"
        said = []
        if self.champion_lacks:
            names = ", ".join(f'"{label}"' for label in self.champion_lacks)
            said.append(
                f"Compared on the labels that both know: the champion was not trained on {names}, so rows "
                "with such a right answer judge the candidate alone."
            )
        if self.champion_too_long:
            said.append(
                f"Rows whose text is too long for the champion's own prompt judge the candidate alone: "
                f"{self.champion_too_long}."
            )
        return " ".join(said)
