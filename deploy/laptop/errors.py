"""What a person is told when the laptop's servers cannot run."""

from __future__ import annotations


class LaptopError(Exception):
    """The laptop cannot run as asked. The message says what happened and what to do."""
