"""Memory of all processes together: summed proportional set size, which counts shared pages once."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import psutil

EVERY_SECONDS = 3.0


@dataclass
class MemoryWatch:
    """Samples this process and all its descendants until it is left. `peak_bytes` is the largest sum seen."""

    peak_bytes: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._sample, name="memory", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        this = psutil.Process()
        while not self._stop.wait(EVERY_SECONDS):
            self.peak_bytes = max(
                self.peak_bytes, proportional_set_size([this, *this.children(recursive=True)])
            )


def proportional_set_size(processes: Iterable[psutil.Process]) -> int:
    """Bytes. A process that has just ended counts nothing."""
    total = 0
    for process in processes:
        try:
            total += process.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total
