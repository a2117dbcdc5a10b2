"""The files of an adapter's folder that are read here: each once, and never a pickle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from deploy.laptop.model_server.adapters import NoAdapter
from deploy.laptop.model_server.lora_config import BadAdapter
from shared.adapters.contract import CONTRACT_FILE

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
PICKLED = "adapter_model.bin"


@dataclass(frozen=True)
class AdapterFiles:
    config: bytes
    weights: bytes
    contract: bytes | None
    """None: an adapter that tuneloop did not train."""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Raises NoAdapter, BadAdapter."""
        try:
            if (folder / PICKLED).exists() and not (folder / WEIGHTS).exists():
                raise BadAdapter(
                    f"{PICKLED} is a pickle, which may run code and is never read. Save {WEIGHTS}"
                )
            contract = folder / CONTRACT_FILE
            return cls(
                (folder / CONFIG).read_bytes(),
                (folder / WEIGHTS).read_bytes(),
                contract.read_bytes() if contract.exists() else None,
            )
        except OSError as error:
            raise NoAdapter(f"No adapter found for {folder}: {error}") from error
