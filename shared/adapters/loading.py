"""The one way an adapter gets onto a model server: proved, understood, fitting the server, then loaded."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from shared.adapters.contract import CONTRACT_FILE, AdapterContract
from shared.adapters.refusals import (
    AnotherBase,
    NoContract,
    NotAsAnnounced,
    OtherTokens,
    RankTooHigh,
    Tampered,
)
from shared.adapters.tokenizer_digest import served_tokenizer_digest
from shared.fields import FrozenAdapter
from shared.files import DigestMismatch, Files
from shared.model_server import ModelServer, Served


class Verifier(Protocol):
    def verify(self, folder: Path) -> None:
        """Raises UnsafeFiles, NotSigned, Tampered."""


@dataclass(frozen=True)
class AdapterLoading:
    files: Files
    models: ModelServer
    verifier: Verifier | None = None
    """None: this installation loads what is not signed."""

    async def contract_of(self, adapter: FrozenAdapter, *, as_stored: bool = False) -> AdapterContract:
        """What the adapter's own files say, once they are proved to be those that were frozen and signed.

        `as_stored`: those that an object store has, and not only the copy on this machine. Raises Tampered,
        NotSigned, NoContract, NotAsAnnounced, and for now: FileNotFoundError, FilesUnreachable.
        """
        _, contract = await asyncio.to_thread(self._proved, adapter, as_stored=as_stored)
        return contract

    async def load(self, adapter: FrozenAdapter) -> AdapterContract:
        """Makes the model server answer by this adapter, and says how it is to be asked.

        Raises like `contract_of`, NotForThisServer, and whatever ModelServer raises.
        """
        here, contract = await asyncio.to_thread(self._proved, adapter)
        await self._has_its_base(adapter, contract)
        there = await asyncio.to_thread(self.files.folder_for_models, adapter, here)
        proof = Proof(self, adapter, contract)
        try:
            await self.models.load_adapter(adapter.name, there, contract.base_model, proof)
        finally:
            proof.is_fresh = False
        return contract

    def _proved(self, adapter: FrozenAdapter, *, as_stored: bool = False) -> tuple[Path, AdapterContract]:
        try:
            folder = self.files.adapter_folder(adapter, as_stored=as_stored)
        except DigestMismatch as error:
            raise Tampered(str(error), mend="restore its files") from error
        if self.verifier is not None:
            self.verifier.verify(folder)
        try:
            contract = AdapterContract.read((folder / CONTRACT_FILE).read_bytes())
        except FileNotFoundError:
            raise NoContract(
                f"adapter {adapter.name} has no {CONTRACT_FILE}, so nobody knows how it is to be asked; a "
                "champion of version 0.1 or 0.2 gets one from shadow_deployment"
            ) from None
        except ValueError as error:
            raise NoContract(
                f"the {CONTRACT_FILE} of adapter {adapter.name} cannot be read by this version: {error}",
                mend="update tuneloop",
            ) from error
        if contract.base_model != adapter.base_model:
            raise NotAsAnnounced(
                f"adapter {adapter.name} was announced for {adapter.base_model}, and its contract says "
                f"{contract.base_model}"
            )
        return folder, contract

    async def _has_its_base(self, adapter: FrozenAdapter, contract: AdapterContract) -> None:
        served = await self.models.base_models()
        if contract.base_model not in served:
            raise AnotherBase(
                f"adapter {adapter.name} was trained on {contract.base_model}, and the model server serves "
                f"{', '.join(sorted(served)) or 'no base model'}",
                mend="serve its base model",
                train="train on that one",
            )


@dataclass
class Proof:
    """Asked for each model server by itself before it gets the adapter, at once or much later."""

    loading: AdapterLoading
    adapter: FrozenAdapter
    contract: AdapterContract
    is_fresh: bool = True
    """The files were proved a moment ago."""

    async def __call__(self, server: Served) -> None:
        """Raises AdapterRefused, FileNotFoundError, FilesUnreachable and whatever the server raises."""
        if not self.is_fresh:
            await self.loading.contract_of(self.adapter)
        await _fits(self.adapter, self.contract, server)


async def _fits(adapter: FrozenAdapter, contract: AdapterContract, server: Served) -> None:
    rank = (await server.limits()).max_lora_rank
    if rank is not None and contract.lora_r > rank:
        raise RankTooHigh(
            f"adapter {adapter.name} has rank {contract.lora_r}, and the model server takes up to {rank}",
            mend="start it with a higher max_lora_rank",
            train="train with a lower lora_r",
        )
    answers = [each.answer for each in contract.labels]
    tokens = await asyncio.gather(*(server.tokenize(contract.base_model, each) for each in answers))
    for label, found in zip(contract.labels, tokens, strict=True):
        if found != [label.token]:
            raise OtherTokens(
                f"adapter {adapter.name} answers {label.label!r} by token {label.token} "
                f"({label.answer!r}), which this model server's tokenizer reads as {found}",
                mend=f"serve the {contract.base_model} it was trained with",
            )
    if contract.tokenizer_digest is None:
        return
    tokenize = partial(server.tokenize, contract.base_model)
    if await served_tokenizer_digest(tokenize) != contract.tokenizer_digest:
        raise OtherTokens(
            f"adapter {adapter.name} was trained with another tokenizer than the model server has for "
            f"{contract.base_model}",
            mend="serve the one it was trained with",
        )
