"""The name of whoever sits at this browser: asked once, kept in the browser and nowhere else."""

from __future__ import annotations

import json

from nicegui import ui

_KEY = "tuneloop-name"
MOST_SAID = 100
"""Characters: human_review keeps no longer name."""


async def remembered_name() -> str:
    """Empty when this browser was never told. The page must be connected."""
    name = await ui.run_javascript(f"localStorage.getItem({_KEY!r}) || ''", timeout=10)
    return str(name)[:MOST_SAID]


def remember_name(name: str) -> None:
    ui.run_javascript(f"localStorage.setItem({_KEY!r}, {json.dumps(name)})")
