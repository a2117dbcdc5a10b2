"""Nothing gets onto the real model server that is not proved, understood and fitting."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from shared.adapters.contract import CONTRACT_FILE, AdapterContract
from shared.adapters.loading import AdapterLoading
from shared.adapters.refusals import (
    AdapterRefused,
    AnotherBase,
    NoContract,
    NotAsAnnounced,
    NotForThisServer,
    NotSigned,
    OtherTokens,
    RankTooHigh,
    Tampered,
)
from shared.adapters.tokenizer_digest import served_tokenizer_digest
from shared.fields import FrozenAdapter
from shared.files import Files
from shared.model_server import ModelServer, UnknownModel, fleet
from tests.servers.adapters import contract_of, freeze_trained
from tests.servers.model import MODEL, lora_adapter, model_server
from tests.shared.adapters.example_contract import ADDED


@pytest.fixture(scope="module")
def models_url() -> Iterator[str]:
    with model_server() as url:
        yield url


@pytest.fixture
async def models(models_url: str) -> AsyncIterator[ModelServer]:
    async with ModelServer(models_url) as models:
        yield models


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files((tmp_path / "files").as_uri(), tmp_path / "cache")


def frozen(files: Files, contract: AdapterContract | None = None) -> FrozenAdapter:
    return freeze_trained(files, "tickets", 1, ADDED, contract)


async def test_an_adapter_that_fits_is_loaded_and_says_how_it_is_asked(
    models: ModelServer, files: Files
) -> None:
    adapter = frozen(files)
    assert await AdapterLoading(files, models).load(adapter) == contract_of(ADDED)
    assert adapter.name in await models.loaded()
    await models.unload_adapter(adapter.name)


def shuffled(folder: Path) -> None:
    said = json.loads((folder / CONTRACT_FILE).read_text())
    tokens = [label["token"] for label in said["labels"]]
    for label, token in zip(said["labels"], [*tokens[1:], tokens[0]], strict=True):
        label["token"] = token
    (folder / CONTRACT_FILE).write_text(json.dumps(said))


def asked_otherwise(folder: Path) -> None:
    said = json.loads((folder / CONTRACT_FILE).read_text())
    (folder / CONTRACT_FILE).write_text(json.dumps(said | {"prompt": "Team of {text}:"}))


def without_contract(folder: Path) -> None:
    (folder / CONTRACT_FILE).unlink()


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(shuffled, id="its labels' tokens are shuffled"),
        pytest.param(asked_otherwise, id="its template is another"),
        pytest.param(without_contract, id="its contract was taken away"),
    ],
)
async def test_a_contract_that_was_changed_after_it_was_frozen_is_refused(
    models: ModelServer, files: Files, fault: Callable[[Path], None]
) -> None:
    adapter = frozen(files)
    fault(files.adapter_folder(adapter))
    await refused(AdapterLoading(files, models), adapter, Tampered, "does not have its digest")


async def test_an_adapter_that_never_had_a_contract_is_refused(models: ModelServer, files: Files) -> None:
    adapter = files.freeze_adapter("old", lora_adapter(1), MODEL)
    await refused(AdapterLoading(files, models), adapter, NoContract, "Train it anew")


async def test_a_contract_that_this_version_cannot_read_is_none(
    models: ModelServer, files: Files, tmp_path: Path
) -> None:
    folder = tmp_path / "later"
    folder.mkdir()
    later = json.loads(contract_of(ADDED).written()) | {"format": 2}
    (folder / CONTRACT_FILE).write_text(json.dumps(later))
    adapter = files.freeze_adapter("later", folder, MODEL)
    await refused(AdapterLoading(files, models), adapter, NoContract, "cannot be read by this version")


async def test_an_adapter_of_another_base_is_refused(models: ModelServer, files: Files) -> None:
    contract = contract_of(ADDED).model_copy(update={"base_model": "Llama-3.2-1B"})
    other = frozen(files, contract)
    await refused(AdapterLoading(files, models), other, NotAsAnnounced, "was announced for")
    announced = other.model_copy(update={"base_model": "Llama-3.2-1B"})
    await refused(AdapterLoading(files, models), announced, AnotherBase, f"serves {MODEL}")


async def test_an_adapter_whose_tokens_the_server_reads_otherwise_is_refused(
    models: ModelServer, files: Files
) -> None:
    first, *others = contract_of(ADDED).labels
    shifted = first.model_copy(update={"token": first.token + 1000})
    contract = contract_of(ADDED).model_copy(update={"labels": (shifted, *others)})
    error = await refused(AdapterLoading(files, models), frozen(files, contract), OtherTokens, "reads as")
    assert isinstance(error, NotForThisServer)


async def test_an_adapter_of_another_tokenizer_is_refused_though_its_answers_are_the_same_tokens(
    models: ModelServer, files: Files
) -> None:
    served = await served_tokenizer_digest(partial(models.tokenize, MODEL))
    contract = contract_of(ADDED).model_copy(update={"tokenizer_digest": served})
    adapter = frozen(files, contract)
    assert await AdapterLoading(files, models).load(adapter) == contract
    await models.unload_adapter(adapter.name)
    other = contract.model_copy(update={"tokenizer_digest": "sha256:" + "0" * 64})
    await refused(AdapterLoading(files, models), frozen(files, other), OtherTokens, "another tokenizer")


async def test_a_rank_above_the_server_s_is_refused(models: ModelServer, files: Files) -> None:
    limit = (await models.limits()).max_lora_rank
    assert limit is not None
    contract = contract_of(ADDED).model_copy(update={"lora_r": limit + 1})
    await refused(AdapterLoading(files, models), frozen(files, contract), RankTooHigh, f"up to {limit}")


class Unsigned:
    def verify(self, folder: Path) -> None:
        raise NotSigned(f"{folder.name} is not signed")


async def test_what_is_not_signed_is_refused_before_its_contract_is_read(
    models: ModelServer, files: Files
) -> None:
    adapter = files.freeze_adapter("old", lora_adapter(1), MODEL)
    await refused(AdapterLoading(files, models, Unsigned()), adapter, NotSigned, "is not signed")


async def test_a_server_that_was_started_anew_does_not_get_files_that_were_changed_meanwhile(
    models_url: str, models: ModelServer, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "LOOK_AGAIN_SECONDS", 0.1)
    adapter = frozen(files)
    async with ModelServer(f"{models_url},http://127.0.0.1:9") as several:
        await AdapterLoading(files, several).load(adapter)
        weights = tmp_path / "files" / adapter.uri / "adapter_model.safetensors"
        as_they_were = weights.read_bytes()
        weights.write_bytes(as_they_were[:-1] + bytes([as_they_were[-1] ^ 1]))
        await models.unload_adapter(adapter.name)  # as if it had been started anew
        for _ in range(5):
            with pytest.raises(UnknownModel):
                await several.score(adapter.name, "parcel", [330, 354])
        assert adapter.name not in await models.loaded()
        weights.write_bytes(as_they_were)
        async with asyncio.timeout(10):
            while adapter.name not in await models.loaded():
                with suppress(UnknownModel):
                    await several.score(adapter.name, "parcel", [330, 354])
                await asyncio.sleep(0.1)
    await models.unload_adapter(adapter.name)


async def refused(
    loading: AdapterLoading, adapter: FrozenAdapter, kind: type[AdapterRefused], reason: str
) -> AdapterRefused:
    with pytest.raises(kind, match=reason) as error:
        await loading.load(adapter)
    assert adapter.name not in await loading.models.loaded()
    return error.value
