"""Adapters of random weights with the contract that a training by a definition would have given them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path

from tokenizers import Tokenizer

from shared.adapters.base_model_digest import base_model_digest
from shared.adapters.contract import CONTRACT_FILE, AdapterContract
from shared.adapters.tokenizer_digest import PROBES, tokenizer_digest
from shared.events import FrozenAdapter, WorkloadAdded
from shared.files import Files
from tests.servers.model import MODEL, base_model_folder, lora_adapter
from tests.shared.adapters.keys import sign


@cache
def _tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(base_model_folder() / "tokenizer.json"))


def token_ids(text: str) -> list[int]:
    """By the real base model's tokenizer, without special tokens."""
    return list(_tokenizer().encode(text, add_special_tokens=False).ids)


def tokens_of(answers: Mapping[str, str]) -> dict[str, int]:
    """Label → the one token of its answer."""
    tokens = {}
    for label, answer in answers.items():
        [tokens[label]] = token_ids(answer)
    return tokens


def contract_of(added: WorkloadAdded) -> AdapterContract:
    return AdapterContract.of(added, tokens_of(added.answers), dataset_id="dataset-1", lora_r=4)


def freeze_trained(
    files: Files,
    name: str,
    seed_or_folder: int | Path,
    added: WorkloadAdded,
    contract: AdapterContract | None = None,
    before_freezing: Callable[[Path], None] = lambda folder: None,
) -> FrozenAdapter:
    """Freezes weights (by their seed, or any folder) with the contract of `added`, or with the given one."""
    weights = lora_adapter(seed_or_folder) if isinstance(seed_or_folder, int) else seed_or_folder
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "adapter"
        shutil.copytree(weights, folder, ignore=shutil.ignore_patterns("done"))
        (folder / CONTRACT_FILE).write_bytes((contract or contract_of(added)).written())
        before_freezing(folder)
        return files.freeze_adapter(name, folder, MODEL)


def publish(
    files: Files,
    name: str,
    seed: int,
    added: WorkloadAdded,
    private_key: Path,
    base_digest: str | None = None,
) -> FrozenAdapter:
    """As retraining does it: with a contract that names weights and tokenizer, a card and a signature.

    `base_digest`: of other weights than those it was trained on.
    """
    digests = {
        "base_model_digest": base_digest or base_model_digest(base_model_folder()),
        "tokenizer_digest": tokenizer_digest([token_ids(probe) for probe in PROBES]),
    }
    contract = contract_of(added).model_copy(update=digests)
    return freeze_trained(files, name, seed, added, contract, partial(sign, private_key=private_key))
