"""Which adapters are served: all stay known, the ones used last stay merged in memory."""

from __future__ import annotations

import ctypes
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"

W = TypeVar("W")


class AlreadyLoaded(Exception):
    """Another adapter has this name. Unload it, or give the new one a name of its own."""


class NoAdapter(Exception):
    """No such adapter: not under this name, not at this path, or its files are no longer the same."""


class BadAdapter(Exception):
    """The files are an adapter, but not one that can be merged into this base model."""


@dataclass(frozen=True)
class Adapter:
    name: str
    path: str
    digest: str


class Adapters(Generic[W]):
    """Adapters by name, each served as a merged copy of the base model's linear weights.

    At most `most_merged` copies are kept; the one unused for longest goes first and is merged again from its
    folder when asked for. Requests under way keep the copy they began with, so for a while there may be more.
    """

    def __init__(self, merge: Callable[[Path], W], most_merged: int) -> None:
        self._merge = merge
        self._most_merged = most_merged
        self._known: dict[str, Adapter] = {}
        self._merged: OrderedDict[str, W] = OrderedDict()
        self._table = threading.Lock()
        self._merging = threading.Lock()
        """Held for seconds: one merge at a time. Never waited for while `_table` is held."""

    def known(self) -> list[Adapter]:
        """In the order of loading."""
        with self._table:
            return list(self._known.values())

    def load(self, name: str, path: str) -> None:
        """Merges the adapter in the folder `path`. Raises AlreadyLoaded, NoAdapter, BadAdapter."""
        with self._merging:
            if name in self._known:
                raise AlreadyLoaded(name)
            adapter = Adapter(name, path, _digest(Path(path)))
            weights = self._merge(Path(path))
            with self._table:
                self._known[name] = adapter
                self._keep(name, weights)
        _give_memory_back()

    def unload(self, name: str) -> None:
        """Raises NoAdapter."""
        with self._table:
            if self._known.pop(name, None) is None:
                raise NoAdapter(name)
            self._merged.pop(name, None)
        _give_memory_back()

    def merged(self, name: str) -> W | None:
        """The merged weights if they are in memory. Never waits."""
        with self._table:
            if name in self._merged:
                self._merged.move_to_end(name)
            return self._merged.get(name)

    def merge_again(self, name: str) -> W:
        """The merged weights, made from the adapter's folder if need be.

        A name stands for the same bytes for ever: if the files are gone or others, the adapter is unloaded.
        Raises NoAdapter, BadAdapter.
        """
        with self._merging:
            if (weights := self.merged(name)) is not None:
                return weights
            with self._table:
                adapter = self._known.get(name)
            if adapter is None:
                raise NoAdapter(name)
            try:
                if _digest(Path(adapter.path)) != adapter.digest:
                    raise NoAdapter(f"the files in {adapter.path} are no longer those of {name}")
            except NoAdapter:
                self.unload(name)
                raise
            weights = self._merge(Path(adapter.path))
            with self._table:
                if name in self._known:
                    self._keep(name, weights)
        _give_memory_back()
        return weights

    def _keep(self, name: str, weights: W) -> None:
        self._merged[name] = weights
        while len(self._merged) > self._most_merged:
            self._merged.popitem(last=False)


def _give_memory_back() -> None:
    """glibc keeps freed blocks of some MB for later, which here would be a whole copy of the model. 30 ms."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _digest(folder: Path) -> str:
    content = hashlib.sha256()
    for name in (CONFIG, WEIGHTS):
        try:
            content.update((folder / name).read_bytes())
        except OSError as error:
            raise NoAdapter(f"No adapter found for {folder}: it has no readable {name}") from error
    return content.hexdigest()
