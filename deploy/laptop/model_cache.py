"""Where the converted base model lies: once for each user of this machine, in the cache folder."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from deploy.laptop.base_model import has_base_model, source_digest


def cache_folder(environment: Mapping[str, str]) -> Path:
    """TUNELOOP_CACHE, else `tuneloop` in XDG_CACHE_HOME, else in ~/.cache (the XDG base directories)."""
    if chosen := environment.get("TUNELOOP_CACHE"):
        return Path(chosen).expanduser().absolute()
    home = Path(environment.get("XDG_CACHE_HOME", ""))
    return (home if home.is_absolute() else Path("~/.cache").expanduser()) / "tuneloop"


def models_folder(data: Path, environment: Mapping[str, str], say: Callable[[str], None]) -> Path:
    """The folder with base models by name, for a system over `data`.

    The data folder's own, where one of version 0.1 has made it; else the user's cache, one folder for each
    source, so that two versions of tuneloop do not convert in turn. A cache that cannot be written is said,
    and the data folder takes its place. Raises BaseModelMissing.
    """
    own = data / "models"
    if has_base_model(own):
        return own
    cache = cache_folder(environment)
    cached = cache / "models" / source_digest()[:12]
    if has_base_model(cached):
        return cached
    try:
        cached.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=cached).close()
    except OSError as error:
        say(
            f"{cache} cannot be written ({error.strerror}), so the base model is kept in {own}. "
            "To share it: TUNELOOP_CACHE=FOLDER"
        )
        return own
    return cached
