"""The flow page is true: services consume and produce exactly what it says, and know no neighbour."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from deploy.docs import generated
from deploy.view_contracts import views_of
from shared.events import EVENTS
from shared.flow import APPS, EVERY_PROCESS_CONSUMES, EVERY_PROCESS_PRODUCES, FLOW

ROOT = Path(__file__).parent.parent.parent
OF_AN_EARLIER_VERSION = {"CycleRequested"}
"""Produced by nobody any more, and consumed until the topics have forgotten them."""
NAMES = {kind.__name__: kind for kind in EVENTS}


def test_every_service_on_the_page_exists_and_no_other() -> None:
    folders = {path.parent.name for path in (ROOT / "services").glob("*/app.py")}
    assert folders == set(FLOW)


@pytest.mark.parametrize("service", sorted(FLOW))
def test_a_service_makes_exactly_the_events_it_says(service: str) -> None:
    modules = [ast.parse(path.read_text("utf-8")) for path in (ROOT / "services" / service).rglob("*.py")]
    made = {NAMES[name] for module in modules for name in called(module) & NAMES.keys() | written(module)}
    assert made == FLOW[service].produces


def called(module: ast.Module) -> set[str]:
    """Names of what is made here, one by one or by `map`."""
    calls = [node for node in ast.walk(module) if isinstance(node, ast.Call)]
    makers = [call.func for call in calls]
    makers += [call.args[0] for call in calls if isinstance(call.func, ast.Name) and call.func.id == "map"]
    return {maker.id for maker in makers if isinstance(maker, ast.Name)}


def written(module: ast.Module) -> set[str]:
    """Names of the events whose topic stands in a file that makes records itself."""
    if "Record" not in called(module):
        return set()
    attributes = (node for node in ast.walk(module) if isinstance(node, ast.Attribute))
    return {
        node.value.id
        for node in attributes
        if node.attr == "topic" and isinstance(node.value, ast.Name) and node.value.id in NAMES
    }


@pytest.mark.parametrize("service", sorted(FLOW))
def test_a_service_wires_exactly_the_events_it_consumes(service: str) -> None:
    wired = {
        key.id
        for node in ast.walk(ast.parse((ROOT / "services" / service / "app.py").read_text("utf-8")))
        if isinstance(node, ast.Dict)
        for key in node.keys
        if isinstance(key, ast.Name) and key.id in NAMES
    }
    assert wired == {kind.__name__ for kind in FLOW[service].consumes} or service == "console"


def test_every_event_is_produced_by_someone_and_consumed_by_someone() -> None:
    for kind in EVENTS:
        is_of_an_earlier_version = kind.__name__ in OF_AN_EARLIER_VERSION
        by_services = (kind in part.produces for part in FLOW.values())
        is_produced = kind in APPS | EVERY_PROCESS_PRODUCES or any(by_services)
        assert is_of_an_earlier_version != is_produced, f"nobody produces {kind.__name__}"
        is_consumed = any(kind in part.consumes for part in FLOW.values())
        assert is_consumed != (kind in EVERY_PROCESS_CONSUMES), f"nobody consumes {kind.__name__}, or twice"


def test_no_service_writes_what_apps_write_and_no_app_what_a_service_writes() -> None:
    assert not any(APPS & part.produces for part in FLOW.values())
    assert not any(kind.is_state for kind in APPS)


def test_generated_documents_are_up_to_date() -> None:
    stale = [str(path) for path, content in generated().items() if path.read_text("utf-8") != content]
    assert stale == [], "run `make docs`"


@pytest.mark.parametrize("service", sorted(FLOW))
def test_a_service_reads_exactly_the_views_it_says(service: str) -> None:
    read = {
        view
        for path in (ROOT / "services" / service).rglob("*")
        if path.suffix in (".py", ".sql")
        for view in re.findall(r"\b[a-z_]+_v\d+\b", path.read_text("utf-8"))
    }
    assert read - set(views_of(service)) == FLOW[service].reads


def test_every_view_that_is_read_has_one_owner() -> None:
    published = [view for service in FLOW for view in views_of(service)]
    assert len(published) == len(set(published))
    assert {view for part in FLOW.values() for view in part.reads} <= set(published)
