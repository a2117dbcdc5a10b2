"""The script of ACLs: what a shell makes of it is what each service and the apps need, and no more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.kafka_acls import principals
from shared.events import EVENTS, ModelPromoted, PredictionLogged
from shared.flow import EVERY_PROCESS_PRODUCES, FLOW
from shared.kafka_acls import Acl, Operation, Resource, acls_of, acls_of_apps
from tests.servers.model import ROOT

GIVEN = ["--bootstrap-server", "kafka:9093", "--command-config", "admin.properties", "--add"]
TOOL = """\
#!%s
import json, sys
print(json.dumps(sys.argv[1:]))
"""


def script(*arguments: str) -> str:
    command = [sys.executable, "-m", "deploy.kafka_acls", *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def said(folder: Path, made: str) -> dict[str, set[Acl]]:
    """By principal: what the tool is asked for when a shell runs the script."""
    tool = folder / "kafka-acls.sh"
    tool.write_text(TOOL % sys.executable)
    tool.chmod(0o755)
    environment = os.environ | {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "BOOTSTRAP": "kafka:9093",
        "ADMIN": "admin.properties",
    }
    run = subprocess.run(["sh"], input=made, env=environment, check=True, capture_output=True, text=True)
    found: dict[str, set[Acl]] = {}
    for line in run.stdout.splitlines():
        words = json.loads(line)
        assert words[:5] == GIVEN
        pairs = list(zip(words[5::2], words[6::2], strict=True))
        (principal,) = [value for flag, value in pairs if flag == "--allow-principal"]
        operations = [one for one in Operation for flag, value in pairs if (flag, value) == of_tool(one)]
        is_prefix = ("--resource-pattern-type", "prefixed") in pairs
        named = {"--topic": Resource.TOPIC, "--group": Resource.GROUP}
        found.setdefault(principal, set()).update(
            Acl(named[flag], value, operation, is_prefix)
            for flag, value in pairs
            if flag in named
            for operation in operations
        )
    return found


def of_tool(operation: Operation) -> tuple[str, str]:
    names = {"READ": "Read", "WRITE": "Write", "CREATE": "Create", "DESCRIBE": "Describe"}
    return "--operation", names.get(operation, "DescribeConfigs")


def test_a_shell_asks_for_everybodys_rights(tmp_path: Path) -> None:
    wanted = {f"User:tuneloop-{name}": set(acls) for name, acls in principals().items()}
    assert said(tmp_path, script()) == wanted


def test_one_may_be_asked_for_as_kafka_knows_it(tmp_path: Path) -> None:
    made = script("app", "--principal", "User:CN={name},O=Shop")
    assert said(tmp_path, made) == {"User:CN=app,O=Shop": set(acls_of_apps())}


@pytest.mark.parametrize("name", sorted(FLOW))
def test_a_service_writes_what_the_flow_says_dead_letters_and_replays(name: str) -> None:
    part = FLOW[name]
    writes = {one.name for one in acls_of(name) if one.operation is Operation.WRITE}
    wanted = {kind.topic.name for kind in part.produces | EVERY_PROCESS_PRODUCES}
    wanted |= {kind.topic.dead_letters for kind in part.consumed_as_group}
    if name == "workloads":
        wanted |= {kind.topic.name for other in FLOW.values() for kind in other.consumed_as_group}
    assert writes == wanted


def test_one_service_alone_says_which_model_answers_and_no_app_speaks_for_the_gateway() -> None:
    assert writers(ModelPromoted.topic.name) == {"shadow_deployment"}
    assert writers(PredictionLogged.topic.name) == {"model_gateway", "prediction_logging", "workloads"}


def writers(topic: str) -> set[str]:
    wanted = Acl(Resource.TOPIC, topic, Operation.WRITE)
    return {name for name, acls in principals().items() if wanted in acls}


def test_what_is_written_on_a_topic_is_known() -> None:
    known = {kind.topic.name for kind in EVENTS} | {kind.topic.dead_letters for kind in EVENTS}
    named = {one.name for acls in principals().values() for one in acls if one.resource is Resource.TOPIC}
    assert named <= known
