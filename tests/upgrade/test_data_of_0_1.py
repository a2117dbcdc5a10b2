"""A data folder as version 0.1 left it, moved elsewhere, goes on under the code of today."""

from __future__ import annotations

import asyncio
import json
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from deploy.laptop.laptop import Laptop, LaptopSettings, start_laptop
from shared.adapters.contract import CONTRACT_FILE, AdapterContract
from shared.adapters.signature import Verifier
from shared.clickhouse import ClickHouse, connect
from shared.events import FrozenFile
from shared.fields import FrozenAdapter
from shared.files import Files
from tests.servers.model import base_model_folder

HERE = Path(__file__).parent
EXPECTED = json.loads((HERE / "expected-0.1.json").read_text())
VIEWS = {
    "predictions": "predictions_v1",
    "feedback": "feedback_v1",
    "reviews": "reviews_v1",
    "open": "review_items_v1 WHERE state = 'open'",
    "corrections": "corrections_v1",
    "pairs": "pairs_v1",
}
MOVED = "moved, 100% für uns"
QUIET_SECONDS = 8  # longer than any service waits before it takes up unfinished work


@pytest.fixture
async def laptop(tmp_path: Path) -> AsyncIterator[Laptop]:
    data = tmp_path / MOVED
    with tarfile.open(HERE / "data-0.1.tar.xz") as packed:
        packed.extractall(data, filter="data")
    (data / "models").symlink_to(base_model_folder().parent)
    async with asyncio.timeout(400), start_laptop(LaptopSettings(data, 0, 0, 0, 0, 0), print) as laptop:
        yield laptop


@pytest.fixture
async def tables(laptop: Laptop) -> AsyncIterator[ClickHouse]:
    tables = await connect(laptop.addresses.clickhouse_url, patience_seconds=30)
    yield tables
    await tables.close()


async def test_everything_is_there_the_champion_answers_and_nothing_is_trained_again(
    laptop: Laptop, tables: ClickHouse
) -> None:
    await asyncio.sleep(QUIET_SECONDS)
    assert await held(tables) == EXPECTED
    await every_file_is_found(laptop, tables)
    async with aiohttp.ClientSession() as session:
        question = {"model": "tickets", "messages": [{"role": "user", "content": "Refund order 7."}]}
        async with session.post(f"{laptop.gateway_url}/v1/chat/completions", json=question) as answer:
            assert (await answer.json())["model"] == EXPECTED["champion"]
        place = {"workload": "tickets", "reviewer": "hopper"}
        async with session.post(f"{laptop.services_url}/reviews/claims", json=place) as item:
            assert item.status == 200
    while (after := await held(tables))["predictions"] == EXPECTED["predictions"]:
        await asyncio.sleep(0.3)
    assert after.pop("predictions") == EXPECTED["predictions"] + 1
    after.pop("open")  # the answer just given may have joined the queue
    assert after == {name: value for name, value in EXPECTED.items() if name not in ("predictions", "open")}
    await what_it_answered_it_answers(laptop, tables)
    await the_champion_is_shown_as_the_copy_that_answers(laptop, tables)


async def held(tables: ClickHouse) -> dict[str, Any]:
    """What `make_0_1.py` wrote down when version 0.1 stopped."""
    counts = {
        name: (await tables.rows(f"SELECT count() AS n FROM {view}"))[0]["n"] for name, view in VIEWS.items()
    }
    champion = "SELECT adapter FROM champions_v1 ORDER BY revision DESC LIMIT 1"
    return counts | {
        "champion": (await tables.rows(champion))[0]["adapter"],
        "cycles": await tables.rows("SELECT cycle_id, requested_by FROM cycles_v1"),
        "datasets": await tables.rows(
            "SELECT version, dataset_id, train_digest FROM datasets_v1 ORDER BY version"
        ),
        "verdicts": await tables.rows("SELECT run_id, verdict FROM verdicts_v1 ORDER BY judged_at"),
        "runs": await tables.rows("SELECT run_id, state, candidate FROM runs_v1 ORDER BY changed_at"),
    }


async def every_file_is_found(laptop: Laptop, tables: ClickHouse) -> None:
    """Though the rows of 0.1 address it by the path of another folder."""
    files = Files(laptop.addresses.files_uri, laptop.addresses.state_folder / "cache")
    for row in await tables.rows("SELECT * FROM datasets_v1"):
        assert row["train_uri"].startswith("file:///tmp/tuneloop-0.1-data/")
        for part in ("train", "golden", "held_out"):
            file = FrozenFile(uri=row[f"{part}_uri"], digest=row[f"{part}_digest"], rows=row[f"{part}_rows"])
            assert len(list(files.rows(file))) == file.rows
    *before, champion = await tables.rows("SELECT * FROM champions_v1 ORDER BY revision")
    assert [row["adapter"] for row in before] == [champion["adapter"]], "it moved once, to its own copy"
    adapter = FrozenAdapter(
        name=champion["adapter"], **{n: champion[n] for n in ("uri", "digest", "base_model")}
    )
    assert MOVED in files.adapter_folder(adapter).parts, (
        "the folder that the fixture was made in is still there"
    )
    assert before[0]["digest"] != adapter.digest
    contract = AdapterContract.read((files.adapter_folder(adapter) / CONTRACT_FILE).read_bytes())
    revisions = await tables.rows("SELECT revision FROM workload_revisions_v1")
    assert (contract.workload, [contract.revision]) == ("tickets", [row["revision"] for row in revisions])
    assert contract.dataset_id == EXPECTED["datasets"][0]["dataset_id"]
    Verifier(laptop.addresses.adapters_public_key).verify(files.adapter_folder(adapter))


async def the_champion_is_shown_as_the_copy_that_answers(laptop: Laptop, tables: ClickHouse) -> None:
    [live] = await tables.rows("SELECT adapter, digest FROM champions_v1 ORDER BY revision DESC LIMIT 1")
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{laptop.services_url}/adapters/{live['adapter']}") as answer,
    ):
        shown = await answer.json()
    assert (shown["state"], shown["digest"], shown["is_signed"]) == ("champion", live["digest"], True)


async def what_it_answered_it_answers(laptop: Laptop, tables: ClickHouse) -> None:
    given = await tables.rows(
        "SELECT input, answer FROM predictions_v1 WHERE adapter = {champion:String} "
        "ORDER BY predicted_at LIMIT 10",
        champion=EXPECTED["champion"],
    )
    assert len(given) == 10
    async with aiohttp.ClientSession() as session:
        for row in given:
            question = {"model": "tickets", "prompt": row["input"]}
            async with session.post(f"{laptop.gateway_url}/v1/completions", json=question) as answer:
                assert (await answer.json())["choices"][0]["text"].strip() == row["answer"]
