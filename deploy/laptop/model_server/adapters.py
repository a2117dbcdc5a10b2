"""Which adapters are served: all stay in memory, and some of them merged into the base model besides."""

from __future__ import annotations

import ctypes
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

W = TypeVar("W")


class AlreadyLoaded(Exception):
    """Another adapter has this name. Unload it, or give the new one a name of its own."""


class NoAdapter(Exception):
    """No such adapter: not under this name, or not at this path."""


@dataclass(frozen=True)
class Adapter:
    name: str
    path: str


class Adapters(Generic[W]):
    """Adapters by name: each as what it adds to the base model, which is small and a little slower to ask;
    at most `most_merged` of them also as a merged copy of the base model's linear layers.

    Merging happens only when an adapter is loaded, and then the copy of the one unused for longest goes.
    Nobody who asks ever waits for it, and asking in turn for more adapters than fit merges nothing.
    """

    def __init__(self, read: Callable[[Path], W], merge: Callable[[W], W], most_merged: int) -> None:
        self._read, self._merge = read, merge
        self._most_merged = most_merged
        self._known: dict[str, Adapter] = {}
        self._unmerged: dict[str, W] = {}
        self._merged: OrderedDict[str, W] = OrderedDict()
        self._table = threading.Lock()
        self._loading = threading.Lock()
        """Held for a second: one at a time. Never waited for while `_table` is held."""

    def known(self) -> list[Adapter]:
        """In the order of loading."""
        with self._table:
            return list(self._known.values())

    def load(self, name: str, path: str) -> None:
        """From then on the name stands for these bytes, whatever becomes of the files.

        Raises AlreadyLoaded, NoAdapter, and what `read` raises.
        """
        with self._loading:
            if name in self._known:
                raise AlreadyLoaded(name)
            unmerged = self._read(Path(path))
            merged = self._merge(unmerged) if self._most_merged else None
            with self._table:
                self._known[name] = Adapter(name, path)
                self._unmerged[name] = unmerged
                if merged is not None:
                    self._merged[name] = merged
                while len(self._merged) > self._most_merged:
                    self._merged.popitem(last=False)
        _give_memory_back()

    def unload(self, name: str) -> None:
        """Raises NoAdapter."""
        with self._table:
            if self._known.pop(name, None) is None:
                raise NoAdapter(name)
            del self._unmerged[name]
            self._merged.pop(name, None)
        _give_memory_back()

    def weights(self, name: str) -> W:
        """What to ask for this adapter. Never waits. Raises NoAdapter."""
        with self._table:
            if name not in self._known:
                raise NoAdapter(name)
            if name not in self._merged:
                return self._unmerged[name]
            self._merged.move_to_end(name)
            return self._merged[name]


def _give_memory_back() -> None:
    """glibc keeps freed blocks of some MB for later, which here would be a whole copy of the model. 30 ms."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
