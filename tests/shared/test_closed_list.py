"""`shared/` is a closed list: a subject each, and needed by two services, or by what runs every service."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
CLOSED_LIST = {
    "access",
    "adapters",
    "addresses",
    "alias_history",
    "backoff",
    "die_with_parent",
    "redaction",
    "request_bodies",
    "broker",
    "cpu_dtype",
    "events",
    "fields",
    "files",
    "flow",
    "http_conventions",
    "http_doors",
    "http_server",
    "http_tls",
    "idempotency_keys",
    "consumer",
    "intervals",
    "job_launcher",
    "job_protocol",
    "jobs",
    "kafka",
    "kafka_acls",
    "label_scoring",
    "labels",
    "loopback",
    "lots",
    "migrations",
    "model_server",
    "outbox",
    "pair_reviews",
    "problems",
    "producer",
    "service",
    "service_client",
    "projections",
    "asgi_route",
    "subject_ids",
    "clickhouse",
    "time_left",
    "time_ordered_ids",
    "times",
    "topics",
    "training",
    "uuid7",
    "workload",
}
SERVES_ALL = {
    "addresses",
    "broker",
    "flow",
    "consumer",
    "http_conventions",
    "kafka",
    "loopback",
    "migrations",
    "topics",
}
"""What `services/run.py` and `services/stack.py` put under every service."""
BENEATH = {"producer": "broker"}
"""What one of those stands on in its turn."""


@cache
def imports() -> set[tuple[str, str]]:
    """(who, what): each service, the deployment and shared itself with every `shared.<what>` they import."""
    found = set()
    for folder in ("services", "deploy", "shared"):
        for path in (ROOT / folder).rglob("*.py"):
            who = path.relative_to(ROOT).parts[1] if folder == "services" else folder
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("shared."):
                    found.add((who, str(node.module).split(".")[1]))
    return found


def importers(name: str) -> set[str]:
    return {who for who, what in imports() if what == name}


def test_nothing_enters_shared_by_the_way() -> None:
    modules = {path.stem for path in (ROOT / "shared").glob("*.py")} - {"__init__"}
    packages = {path.parent.name for path in (ROOT / "shared").glob("*/__init__.py")}
    assert modules | packages == CLOSED_LIST


@pytest.mark.parametrize("name", sorted(CLOSED_LIST - SERVES_ALL - set(BENEATH)))
def test_two_need_it_today(name: str) -> None:
    assert len(importers(name)) >= 2, f"shared/{name}.py has one user: {importers(name)}"


@pytest.mark.parametrize("name", sorted(SERVES_ALL))
def test_every_service_stands_on_it(name: str) -> None:
    assert {"run.py", "__main__.py"} & importers(name) or len(importers(name)) >= 2


@pytest.mark.parametrize(("name", "upon"), sorted(BENEATH.items()))
def test_what_serves_all_stands_on_it(name: str, upon: str) -> None:
    assert f"from shared.{name} import" in (ROOT / "shared" / f"{upon}.py").read_text("utf-8")
