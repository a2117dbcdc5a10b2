"""Nothing that happens to a definition changes what a live adapter's answers mean, until a promotion."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from shared.events import Event, WorkloadAdded
from shared.fields import FrozenAdapter
from shared.files import Files
from shared.model_server import ModelServer
from tests.servers.adapters import freeze_trained
from tests.servers.model import lora_adapter
from tests.services.model_gateway.conftest import BASE, Gateway, Gateways, added, promoted, rolled_back

PROBES = (
    "please pay me back",
    "the app is down since noon",
    "I lost my card",
    "where do I change my address?",
    "谢谢",
    "12 34",
)
READDED: dict[str, WorkloadAdded] = {
    # each with the letter of its place, as version 0.1 gave them
    "its labels in another order": added(revision=2, answers={"outage": " A", "refund": " B", "other": " C"}),
    "other tokens": added(revision=2, answers={"refund": " B", "outage": " C", "other": " A"}),
    "another prompt": added(revision=2, prompt="{text}\nWho answers this? "[:-1]),
    "one label more": added(
        revision=2, answers={"refund": " A", "outage": " B", "other": " C", "address": " D"}
    ),
    "one label fewer": added(revision=2, answers={"refund": " A", "outage": " B"}, removed=("other",)),
    "one label renamed": added(
        revision=2,
        answers={"refund": " A", "incident": " B", "other": " C"},
        renamed={"outage": "incident"},
    ),
}


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(f"file://{tmp_path}/files", tmp_path / "cache")


@pytest.fixture
async def unload(models_url: str) -> AsyncIterator[Callable[[FrozenAdapter], FrozenAdapter]]:
    """Remembers an adapter that the shared server is to forget afterwards."""
    names = []

    def remember(adapter: FrozenAdapter) -> FrozenAdapter:
        names.append(adapter.name)
        return adapter

    yield remember
    async with ModelServer(models_url) as models:
        for name in names:
            await models.unload_adapter(name)


Remember = Callable[[FrozenAdapter], FrozenAdapter]


async def answers(gateway: Gateway, events: list[Event] | None = None) -> list[tuple[str, Any]]:
    """What the app receives: each probe's label, with the log-probabilities of all labels."""
    given = []
    for text in PROBES:
        answer = await gateway.ask(text, logprobs=True, top_logprobs=5)
        assert answer.status_code == 200, answer.text
        [choice] = answer.json()["choices"]
        top = choice["logprobs"]["content"][0]["top_logprobs"]
        given.append((choice["message"]["content"], sorted((each["token"], each["logprob"]) for each in top)))
    return given


@pytest.mark.parametrize("name", READDED)
async def test_a_definition_added_again_changes_no_live_answer(
    gateways: Gateways, models_url: str, files: Files, unload: Remember, name: str
) -> None:
    again = READDED[name]
    champion = unload(freeze_trained(files, "tickets-1", 1, added()))
    gateway = await gateways(models_url)
    await gateway.apply(added(), promoted(champion))
    before = await answers(gateway)
    await gateway.apply(again)
    assert await answers(gateway) == before
    restarted = await gateways(models_url)
    assert await answers(restarted) == before, "a restart without broker goes on"
    successor = unload(freeze_trained(files, "tickets-2", 2, again))
    await restarted.apply(again, promoted(successor, revision=2))
    after = await answers(restarted)
    assert {label for _, top in after for label, _ in top} <= set(again.definition.labels)
    assert after != before
    await restarted.apply(rolled_back(champion, revision=3, withdrawn=successor.name))
    assert await answers(restarted) == before, "rolled back across revisions it answers as it did"


async def test_a_champion_without_a_contract_answers_once_the_alias_has_moved_to_its_copy(
    gateways: Gateways, models_url: str, files: Files, unload: Remember
) -> None:
    """As adapters of versions 0.1 and 0.2 get theirs: by the same name, with another digest."""
    old = files.freeze_adapter("tickets-1", lora_adapter(1), BASE)
    copy = unload(freeze_trained(files, "tickets-1", 1, added()).model_copy(update={"name": old.name}))
    gateway = await gateways(models_url)
    await gateway.apply(added(), promoted(old))
    assert (await gateway.ask()).status_code == 503
    assert 'switches_total{outcome="refused",workload="tickets"} 1.0' in gateway.metrics()
    await gateway.apply(promoted(copy, revision=2))
    answer = await gateway.ask()
    assert (answer.status_code, answer.json()["model"]) == (200, old.name)
