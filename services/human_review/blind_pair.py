"""Two models' answers side by side, so that nobody can tell whose is whose."""

from __future__ import annotations

from services.human_review.drawn import drawn


def blind_options(prediction_id: str, one: str, other: str) -> list[str]:
    """Both answers in an order that depends on the id and the answers, never on which model gave which."""
    options = sorted((one, other))
    return options if drawn("side", prediction_id) < 0.5 else options[::-1]
