"""What stands around the code: workflow, forms and hooks parse, and run what `make` and `.ci/run` run."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared import VERSION

ROOT = Path(__file__).parent.parent
WORKFLOW: dict[str, Any] = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))
FORMS = sorted(path for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config")
INPUTS = {"markdown", "textarea", "input", "dropdown", "checkboxes"}


def steps(job: str) -> list[dict[str, Any]]:
    return list(WORKFLOW["jobs"][job]["steps"])


def test_the_workflow_runs_the_steps_of_ci_run_in_their_order() -> None:
    ci = [line for line in (ROOT / ".ci/run").read_text("utf-8").splitlines() if line.startswith("make ")]
    assert ci
    assert [step["run"] for step in steps("loop") if "run" in step] == ["make setup", *ci]


@pytest.mark.parametrize("job", sorted(WORKFLOW["jobs"]))
def test_every_job_ends_and_its_actions_are_pinned_to_a_commit(job: str) -> None:
    assert WORKFLOW["jobs"][job]["timeout-minutes"] <= 60
    used = [step["uses"] for step in steps(job) if "uses" in step]
    assert used
    assert all(re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", action) for action in used)


def test_the_workflow_may_only_read() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}


def test_its_kafka_is_the_one_of_docker_compose() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    service = WORKFLOW["jobs"]["apache-kafka"]["services"]["kafka"]
    assert service["image"] == compose["services"]["kafka"]["image"]


def test_its_mlflow_is_of_the_version_whose_client_is_pinned() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    [client] = extras["mlflow"]
    server = client.replace("mlflow-skinny", "mlflow")
    [made] = [step["run"] for step in steps("mlflow") if "-m venv" in step.get("run", "")]
    assert made.endswith("-r deploy/requirements/mlflow-server.txt")
    assert f"\n{server} " in (ROOT / "deploy" / "requirements" / "mlflow-server.txt").read_text("utf-8")


@pytest.mark.parametrize("job", ["vllm", "mlflow"])
def test_a_job_tests_with_the_environment_that_it_makes(job: str) -> None:
    *_, made, tested = steps(job)
    [python] = tested["env"].values()
    folder = python.removesuffix("/bin/python")
    assert made["run"].startswith(f"python -m venv {folder} && {folder}/bin/pip install ")


@pytest.mark.parametrize("form", FORMS, ids=lambda form: str(form.stem))
def test_an_issue_form_is_one_that_github_shows(form: Path) -> None:
    content = yaml.safe_load(form.read_text("utf-8"))
    assert {"name", "description", "body"} <= set(content)
    ids = [field["id"] for field in content["body"] if field["type"] != "markdown"]
    assert len(ids) == len(set(ids)) > 0
    for field in content["body"]:
        assert field["type"] in INPUTS
        assert field["attributes"]["value" if field["type"] == "markdown" else "label"]
        assert field["type"] != "dropdown" or field["attributes"]["options"]


def test_the_hooks_before_a_commit_are_what_make_check_runs() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"][0]["hooks"]
    assert all(hook["language"] == "system" for hook in hooks)
    recipe = re.search(r"^check:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text("utf-8"), re.M)
    assert recipe is not None
    commands = [line.strip().lstrip("@").replace("$(BIN)", ".venv/bin") for line in recipe[1].splitlines()]
    assert [hook["entry"] for hook in hooks] == commands


def test_the_pull_request_template_shows_how_to_see_what_changes_of_the_contracts() -> None:
    template = (ROOT / ".github/pull_request_template.md").read_text("utf-8")
    assert "git diff main -- shared/contracts services/*/migrations services/*/views.sql" in template


def test_the_newest_release_of_the_changelog_is_the_version_of_the_package() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    newest = re.search(r"^## \[(\d+\.\d+\.\d+)\]", changelog, re.M)
    assert newest is not None
    assert newest[1] == VERSION
