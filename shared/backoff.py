"""How long to wait before something that failed is tried again, and how often to say so; pure."""

from __future__ import annotations

from dataclasses import dataclass, field

LONGEST_PAUSE_SECONDS = 60.0
LONGEST_SILENCE_SECONDS = 300.0


def pause_seconds(failures_in_a_row: int) -> float:
    """0.2 s after the first failure, doubled by each further one, at most a minute."""
    return min(0.1 * 2.0 ** min(failures_in_a_row, 20), LONGEST_PAUSE_SECONDS)


@dataclass
class SaysSeldom:
    """When to say again what is waited for: at once, after 1, 2, 4 … seconds, at least every 5 minutes."""

    _next: float = 0.0
    _silence: float = 1.0
    _said: str | None = None

    def is_due(self, what: str, now: float) -> bool:
        """`now` in seconds of any clock that only goes on. Something else is said at once."""
        if what != self._said:
            self._said, self._silence = what, 1.0
        elif now < self._next:
            return False
        self._next = now + self._silence
        self._silence = min(2 * self._silence, LONGEST_SILENCE_SECONDS)
        return True


@dataclass
class Failures:
    """What failed, by name, and when it is due again; `now` as for `SaysSeldom`."""

    _of: dict[str, tuple[int, float, Exception]] = field(default_factory=dict)

    def failed(self, name: str, error: Exception, now: float) -> None:
        in_a_row = self._of[name][0] + 1 if name in self._of else 1
        self._of[name] = (in_a_row, now + pause_seconds(in_a_row), error)

    def went_well(self, name: str) -> None:
        self._of.pop(name, None)

    def seconds_left(self, name: str, now: float) -> float:
        """Until it is due; 0 if it is now."""
        return max(0.0, self._of[name][1] - now) if name in self._of else 0.0

    def last(self, name: str) -> Exception | None:
        """Its last failure, if nothing went well since."""
        return self._of[name][2] if name in self._of else None

    def not_yet(self, name: str, now: float) -> Exception | None:
        """Its last failure, while it is too early to try it again."""
        return self.last(name) if self.seconds_left(name, now) else None
