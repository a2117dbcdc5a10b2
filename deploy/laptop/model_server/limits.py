"""What the server takes, told to clients beside the base model, so that they can check before they train."""

from __future__ import annotations

from dataclasses import asdict, dataclass

MOST_LOGPROBS = 512
"""As the compose file tells vLLM; a workload has at most as many labels."""
HIGHEST_RANK = 64


@dataclass(frozen=True)
class Limits:
    """By the names of vLLM's options."""

    max_loras: int
    """Adapters served at full speed at the same time."""
    max_lora_rank: int = HIGHEST_RANK
    max_logprobs: int = MOST_LOGPROBS

    def card(self) -> dict[str, int]:
        """As they stand on the base model's card."""
        return asdict(self)
