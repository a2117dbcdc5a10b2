"""The secret by which people become opaque ids, where a command can read it: it is asked for by no HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from deploy.expected_error import ExpectedError
from deploy.installation import DATA, names_a_url

VARIABLE = "SUBJECT_KEY"


def subject_key_file(data: Path) -> Path:
    """Where a laptop keeps its own, which holds where the environment names none."""
    return data / "subject-key"


def subject_key(url: str | None, data: Path | None, environment: Mapping[str, str]) -> str:
    """The environment's, else the one of the data folder. Raises ExpectedError where there is neither."""
    if key := environment.get(VARIABLE):
        return key
    if names_a_url(url, data, environment):
        raise ExpectedError(
            f"Ids of people are made by {VARIABLE}, which no service tells. Set it to the one that its "
            "services have, or give the command where they have it."
        )
    file = subject_key_file((data or DATA).resolve())
    try:
        return file.read_text("utf-8")
    except OSError as error:
        raise ExpectedError(
            f"Ids of people are made by the key in {file}, which cannot be read ({error.strerror}). Say "
            f"which data folder it is by --data, or set {VARIABLE} to the one that the services have."
        ) from None
