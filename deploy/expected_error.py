"""What a command says in one line, with exit code 1 and without a traceback."""

from __future__ import annotations


class ExpectedError(Exception):
    """The message says what happened and what to do."""
