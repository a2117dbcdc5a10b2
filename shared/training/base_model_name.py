"""How a definition names its base model: a folder of BASE_MODELS, or a hub's model at one revision; pure.

An event's definition may hold any name that a released version took. So who writes one is held to the
pattern, and who trains by one still looks whether it stays below its folder.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_WORD = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_FOLDER = re.compile(_WORD)
_ON_A_HUB = re.compile(rf"({_WORD}/{_WORD})(@.*)?")
_PINNED = re.compile(rf"({_WORD}/{_WORD})@([0-9a-f]{{40}})")
_EXAMPLE = 'a folder\'s name, as in base_model = "SmolLM2-135M-Instruct"'


@dataclass(frozen=True)
class PinnedModel:
    """A hub's model at a commit, which the hub cannot put others' weights in the place of."""

    hub_id: str
    revision: str


def pinned_model(name: str) -> PinnedModel | None:
    """What a name like `org/name@REVISION` says; None for any other."""
    found = _PINNED.fullmatch(name)
    return PinnedModel(found[1], found[2]) if found else None


def without_revision(name: str) -> str:
    return name.partition("@")[0]


def why_no_name(name: str) -> str | None:
    """What is wrong with what a person wrote, and what to write; None if nothing is."""
    if _FOLDER.fullmatch(name) or _PINNED.fullmatch(name):
        return None
    if _ON_A_HUB.fullmatch(name):
        return f'"{name}" {unpinned(name)}'
    return f'"{name}" is no name of a base model. Write {_EXAMPLE}, or a hub\'s model, org/name@REVISION.'


def unpinned(name: str) -> str:
    """What to write instead, as the rest of a sentence about `name`."""
    return (
        "names a hub's model without its revision, and what stands there may change. Write "
        f"{without_revision(name)}@REVISION with the 40 hexadecimal digits of a commit, and start the model "
        f"server under that name; or put the model into BASE_MODELS and write {_EXAMPLE}."
    )


def stays_below(name: str) -> bool:
    """Whether the name, put behind a folder's path, leads to what is inside."""
    parts = {part for part in name.split("/") if part != "."}
    return "" not in parts and ".." not in parts and bool(parts) and "\0" not in name
