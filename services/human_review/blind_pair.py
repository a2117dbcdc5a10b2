"""Two models' answers side by side, so that nobody can tell whose is whose."""

from __future__ import annotations


def blind_options(lot: float, one: str, other: str) -> list[str]:
    """Both answers in an order that depends on the lot and the answers, never on which model gave which."""
    options = sorted((one, other))
    return options if lot < 0.5 else options[::-1]
