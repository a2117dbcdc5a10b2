"""What the server takes, told to clients beside the base model, so that they can check before they train."""

from __future__ import annotations

from dataclasses import asdict, dataclass

MOST_LOGPROBS = 512
"""As the compose file tells vLLM; a workload has at most as many labels."""
HIGHEST_RANK = 64
MOST_COPIES = 16


@dataclass(frozen=True)
class Limits:
    """By the names of vLLM's options."""

    max_loras: int
    """Adapters served merged, at full speed; any number beyond is served a little slower."""
    max_lora_rank: int = HIGHEST_RANK
    max_logprobs: int = MOST_LOGPROBS

    def card(self) -> dict[str, int]:
        """As they stand on the base model's card."""
        return asdict(self)


def copies_that_fit(available_bytes: int, bytes_of_a_copy: int) -> int:
    """How many merged models may be kept: a quarter of the memory that is free at the start is for them.

    The rest is for training, which comes later and takes some gigabytes.
    """
    return min(MOST_COPIES, available_bytes // 4 // bytes_of_a_copy)
