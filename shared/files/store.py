"""Where files lie: a folder of this machine, or an object store. fsspec, and what it does not promise."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote

import fsspec

from shared.times import utc

EXTRAS = {"s3": "s3", "s3a": "s3"}
PAUSE_SECONDS = 2.0
PARTIAL = ".partial"
"""How ends what is not in its place yet, or no more."""

T = TypeVar("T")

log = logging.getLogger(__name__)


class CannotUseFiles(Exception):
    """FILES_URI names a place that this installation cannot use; the message says what to do."""


class FilesUnreachable(OSError):
    """The store does not answer, or does not let us in. Try again."""


class Store:
    """Files by their path in it. One is written whole or not at all: by one upload, or by a move.

    Nothing it was told about what is there is kept: other processes write too.
    """

    def __init__(self, uri: str, patience_seconds: float = 0.0) -> None:
        """One that does not answer is asked again for `patience_seconds`. Raises CannotUseFiles."""
        self._patience_seconds = patience_seconds
        try:
            self._filesystem, root = fsspec.core.url_to_fs(uri, use_listings_cache=False)
        except ImportError as missing:
            extra = EXTRAS.get(uri.partition(":")[0])
            way_out = f"pip install 'tuneloop[{extra}]'" if extra else str(missing)
            raise CannotUseFiles(f"FILES_URI={uri} needs a package that is not here: {way_out}") from missing
        except ValueError as error:
            raise CannotUseFiles(f"FILES_URI={uri}: {error}") from error
        protocol = self._filesystem.protocol
        self.protocols: tuple[str, ...] = (protocol,) if isinstance(protocol, str) else tuple(protocol)
        self.is_folder = "file" in self.protocols
        self.uri = uri
        # A `file:` URI is percent-encoded, as `Path.as_uri` writes it; fsspec takes it literally.
        self.root: str = (unquote(root) if uri.startswith("file:") else root).rstrip("/")

    def exists(self, path: str) -> bool:
        return self._ask(lambda: bool(self._filesystem.exists(path)))

    def read(self, path: str) -> bytes:
        """Raises FileNotFoundError, FilesUnreachable."""
        return self._ask(lambda: bytes(self._filesystem.cat_file(path)))

    def write(self, path: str, content: bytes) -> None:
        if not self.is_folder:
            self._ask(lambda: self._filesystem.pipe_file(path, content))
            return
        partial = f"{path}.{uuid.uuid4().hex}{PARTIAL}"
        self._filesystem.makedirs(path.rpartition("/")[0], exist_ok=True)
        self._filesystem.pipe_file(partial, content)
        self._filesystem.mv(partial, path)

    def put(self, local: Path, path: str) -> None:
        """A file of this machine. (`put` on a whole folder takes a [ or * in a path for a pattern.)"""
        if self.is_folder:
            self._filesystem.makedirs(path.rpartition("/")[0], exist_ok=True)
        self._ask(lambda: self._filesystem.put_file(str(local), path))

    def move_folder(self, path: str, to: str) -> None:
        """In one step: only a folder of this machine can do that. Raises OSError if something is there."""
        assert self.is_folder
        Path(path).rename(to)

    def fetch(self, path: str, local: Path) -> None:
        """Raises FileNotFoundError, FilesUnreachable."""
        local.parent.mkdir(parents=True, exist_ok=True)
        self._ask(lambda: self._filesystem.get_file(path, str(local)))

    def names_below(self, path: str) -> list[str]:
        """Every file below a folder, by its path from there; none if there is no such folder."""
        found: list[str] = self._ask(lambda: self._filesystem.find(path))
        return [each.lstrip("/").removeprefix(f"{path.lstrip('/')}/") for each in found]

    def older_than(self, age: timedelta, folder: str, suffix: str) -> list[str]:
        """The files right in a folder that end so and were last written before that long."""
        if not self.exists(folder):
            return []
        found: list[str] = self._ask(lambda: self._filesystem.ls(folder, detail=False))
        named = [path for path in found if path.endswith(suffix)]
        return [path for path in named if self._written_at(path) < datetime.now(UTC) - age]

    def _written_at(self, path: str) -> datetime:
        """Now, if somebody has just removed it."""
        try:
            written: datetime = self._ask(lambda: self._filesystem.modified(path))
        except FileNotFoundError:
            return datetime.now(UTC)
        return utc(written)

    def remove(self, path: str) -> None:
        """A file, or all files below a folder; what is gone already is fine."""
        if self.exists(path):
            with suppress(FileNotFoundError):
                self._ask(lambda: self._filesystem.rm(path, recursive=True))

    def _ask(self, work: Callable[[], T]) -> T:
        """Each store's client has errors of its own. What a store says of a file passes as it is; that it
        does not answer, or cannot now, is FilesUnreachable once patience is over.
        """
        until = time.monotonic() + self._patience_seconds
        while True:
            try:
                return work()
            except (FileNotFoundError, PermissionError):
                raise
            except Exception as error:
                if self.is_folder:
                    raise
                if time.monotonic() >= until:
                    raise FilesUnreachable(f"{self.uri} does not answer as it should: {error}") from error
                log.warning("%s does not answer as it should, and is asked again: %s", self.uri, error)
                time.sleep(PAUSE_SECONDS)
