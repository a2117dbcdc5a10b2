"""What an attack is: a function that tries something, and says how it succeeded, or nothing."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

from tests.attacks.target import Target


@dataclass(frozen=True)
class Attack:
    name: str
    kind: str
    """The file that it stands in."""
    says: str
    """What the attacker does and wants."""
    run: Callable[[Target], str]
    """Empty when refused, else how it succeeded, in a sentence."""


def attack(run: Callable[[Target], str]) -> Attack:
    """The function as an attack: its name, its file's, and its docstring."""
    return Attack(run.__name__, run.__module__.rpartition(".")[2], inspect.getdoc(run) or "", run)
