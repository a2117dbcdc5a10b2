"""What a person is told when the laptop's servers cannot run."""

from __future__ import annotations

from deploy.expected_error import ExpectedError


class LaptopError(ExpectedError):
    """The laptop cannot run as asked. The message says what happened and what to do."""
