"""The pages tell the truth: their links lead somewhere, and they name every metric and every setting."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from pydantic_settings import BaseSettings

from deploy.page_tables import settings_classes, settings_table, training_table
from services.stack import build
from shared.access.audit import Audit
from shared.access.limit_settings import LimitSettings
from shared.access.limiter import RequestLimits
from shared.addresses import Addresses
from shared.broker import make_broker
from shared.clickhouse import clickhouse_at
from shared.consumer.metrics import ConsumerMetrics
from shared.events import Event, now
from shared.files import Files
from shared.flow import FLOW
from shared.kafka import Kafka
from shared.model_server import ModelServer
from shared.outbox import Outbox, OutboxSettings
from shared.service import ServiceContext
from shared.workload import Training
from tests.services.console.screenshots import MOST_BYTES, NAMES, SCHEMES

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / ".github").glob("*.md")])
LINK = re.compile(r"\]\(([^)#\s]+)")
SUFFIXES = {"counter": "_total"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_something_in_the_repository(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text("utf-8")) if "://" not in link]
    on_github = "../../security/"
    broken = [link for link in links if not link.startswith(on_github) and not (page.parent / link).exists()]
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_python_file_that_is_named_with_its_folder_exists(page: Path) -> None:
    named = re.findall(
        r"`((?:services|shared|deploy|tests|docs)/[\w/]+\.(?:py|md|toml|sql))`", page.read_text()
    )
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize(
    "page", sorted((ROOT / "docs/decisions").glob("*.md")), ids=lambda page: str(page.stem)
)
def test_a_decision_has_its_parts_and_a_test_that_holds_it(page: Path) -> None:
    text = page.read_text("utf-8")
    assert text.startswith(f"# {page.name[:4]} ")
    for part in ("**Context.**", "**Decision.**", "**Consequences.**", "**Held by**"):
        assert part in text


async def registered(folder: Path) -> set[str]:
    """The names of all metrics that a process with every service has, as Prometheus shows them."""
    registry = CollectorRegistry()
    models = ModelServer("http://127.0.0.1:9")

    async def publish(*_: Event) -> None:
        raise AssertionError("building a service publishes nothing")

    make_broker(Kafka("127.0.0.1:9"), "docs", registry)
    ConsumerMetrics(registry)
    RequestLimits(LimitSettings(), registry)
    Audit(Outbox(folder, OutboxSettings(), None), "docs", now, registry)
    for name in FLOW:
        (folder / name).mkdir()
        files = Files(folder.as_uri(), folder / "cache")
        clickhouse = clickhouse_at("http://127.0.0.1:9/none")
        build(
            name,
            ServiceContext(Addresses(), publish, clickhouse, files, models, now, registry, folder / name),
        )
    await models.close()
    return {metric.name + SUFFIXES.get(metric.type, "") for metric in registry.collect()}


async def test_the_operators_page_names_every_metric_there_is_and_no_other(tmp_path: Path) -> None:
    page = (ROOT / "docs/operate.md").read_text("utf-8")
    named = re.findall(r"^\| `(tuneloop_\w+)` \|.*\| .+ \|$", page, re.M)
    assert len(named) == len(set(named))
    assert set(named) == await registered(tmp_path)


@pytest.mark.parametrize("settings", settings_classes(), ids=lambda settings: str(settings.__module__))
def test_every_setting_says_what_it_is(settings: type[BaseSettings]) -> None:
    prefix = settings.model_config.get("env_prefix", "")
    for name in settings.model_fields:
        row = re.search(rf"^\| `{prefix}{name}` \| .+ \| (.*) \|$", settings_table(), re.M | re.I)
        assert row is not None
        assert row[1], f"{settings.__module__}: {name} wants a sentence below it"


@pytest.mark.parametrize("name", Training.model_fields)
def test_every_setting_of_a_training_says_what_it_is_and_what_is_decided(name: str) -> None:
    row = re.search(rf"^\| `{name}` \| (.*) \| (.+) \| (.+) \|$", training_table(), re.M)
    assert row is not None
    assert row[1], f"shared/training/section.py: {name} wants a sentence below it"


@pytest.mark.parametrize("settings", settings_classes(), ids=lambda settings: str(settings.__module__))
def test_durations_are_spelt_one_way_in_seconds(settings: type[BaseSettings]) -> None:
    for name, field in settings.model_fields.items():
        assert field.annotation is not timedelta, f"{settings.__module__}: {name} is a float, {name}_seconds"
        assert not name.endswith(("_minutes", "_hours", "_days", "_ms")), f"{settings.__module__}: {name}"


def test_the_readme_shows_the_console_in_light_and_dark_with_pictures_that_load_quickly() -> None:
    shown = re.findall(
        r'(?:src|srcset)="(docs/pictures/[\w-]+\.png)"', (ROOT / "README.md").read_text("utf-8")
    )
    assert {f"{page}-{scheme}" for page in NAMES for scheme in SCHEMES} == {Path(path).stem for path in shown}
    assert all((ROOT / path).stat().st_size < MOST_BYTES for path in shown)
