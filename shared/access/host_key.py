"""The key on the host of the process that keeps keys: whoever may read it there makes the first one."""

from __future__ import annotations

import secrets
from pathlib import Path

from shared.access.api_key import PREFIX, SECRET_BYTES
from shared.files import ensure_secret


def host_key_file(state_folder: Path) -> Path:
    return state_folder / "host-key"


def ensure_host_key(file: Path) -> str:
    """Made the first time. What stands where a key has its id is no id, and never will be."""
    return ensure_secret(file, lambda: f"{PREFIX}_host_{secrets.token_urlsafe(SECRET_BYTES)}")
