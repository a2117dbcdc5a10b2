"""How a model is asked for a label, and how its answer is read."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

from shared.adapters.contract import AdapterContract


@dataclass(frozen=True)
class LabelContract:
    """One way of asking: an adapter's own, or the base model's."""

    before: str
    after: str
    """The prompt around the text."""
    token_of: MappingProxyType[str, int]
    """Label → the token that answers it; of equals the first one wins."""

    @classmethod
    def of(cls, contract: AdapterContract) -> Self:
        """How this adapter is asked: by what lies beside its weights, whatever the definition says now."""
        before, _, after = contract.prompt.partition("{text}")
        return cls(before, after, MappingProxyType(contract.token_of))
