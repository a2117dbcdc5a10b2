"""Adapters of an object store on this machine's disk: fetched once, checked, and the oldest ones dropped."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from shared.fields import FrozenAdapter
from shared.files.manifest import DigestMismatch, folder_digest, sha256

MOST_BYTES = 4 << 30
"""What all adapters in a cache may take; the one that was asked for last stays in any case."""

log = logging.getLogger(__name__)


class AdapterCache:
    """One folder, which several processes may use at once: of those that want one adapter, one fetches it."""

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self._folder = folder
        self._most_bytes = most_bytes

    def folder_of(
        self, adapter: FrozenAdapter, fetch: Callable[[Path], None], *, as_stored: bool = False
    ) -> Path:
        """Checked each time; what `fetch` brings is checked before it counts. Raises what it raises, and
        DigestMismatch.

        `as_stored`: it is fetched in any case, because whether the store still has it is the question.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        kept = self._folder / adapter.name
        with self._alone_with(adapter.name):
            is_whole = folder_digest(files_in(kept)) == adapter.digest
            if as_stored or not is_whole:
                self._fetch(adapter, None if is_whole else kept, fetch)
            os.utime(kept)
        self._drop_oldest(kept)
        return kept

    def _fetch(self, adapter: FrozenAdapter, to: Path | None, fetch: Callable[[Path], None]) -> None:
        """To nowhere if that is None, and checked all the same. What a kill left of an earlier try is
        nobody's, because the lock is ours."""
        partial = self._folder / f".{adapter.name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            fetch(partial)
            if folder_digest(files_in(partial)) != adapter.digest:
                raise DigestMismatch(f"adapter {adapter.name} at {adapter.uri} does not have its digest")
            if to is not None:
                shutil.rmtree(to, ignore_errors=True)
                partial.rename(to)
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _drop_oldest(self, keep: Path) -> None:
        """One that another process still uses is fetched again when that one asks for it."""
        kept = sorted(self._kept(), key=lambda entry: entry[1])
        size = sum(entry[2] for entry in kept)
        for folder, _, its_size in kept:
            if size > self._most_bytes and folder != keep:
                with self._alone_with(folder.name):
                    shutil.rmtree(folder, ignore_errors=True)
                log.info("%s left the cache: it holds at most %d bytes", folder.name, self._most_bytes)
                size -= its_size

    def _kept(self) -> Iterator[tuple[Path, float, int]]:
        """(folder, when it was last asked for, bytes)."""
        for folder in self._folder.iterdir():
            if folder.is_dir() and not folder.name.startswith("."):
                with contextlib.suppress(FileNotFoundError):  # another process drops, too
                    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
                    yield folder, folder.stat().st_mtime, size

    @contextlib.contextmanager
    def _alone_with(self, name: str) -> Iterator[None]:
        """Until the end, or the death, of the process that has it."""
        with (self._folder / f".{name}.lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def files_in(folder: Path) -> dict[str, str]:
    """The relative name and the digest of each file."""
    return {
        path.relative_to(folder).as_posix(): sha256(path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }
