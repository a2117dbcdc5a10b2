"""The Kubernetes Job of a job, held to Kubernetes' own schema."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from shared.job_launcher import CannotStart
from shared.job_launcher.manifest import KubernetesSettings, job_name, manifest
from shared.job_protocol import ORDER_VARIABLE, Order

SCHEMA = json.loads((Path(__file__).parent / "kubernetes" / "job-v1.36.json").read_text("utf-8"))
EVERYTHING = KubernetesSettings(
    image="tuneloop/retraining:0.2",
    state_claim="state",
    files_claim="files",
    signing_secret="adapters-signing",
    public_keys_config_map="adapters-public",
)


def order(kind: str = "train", **task: Any) -> Order:
    return Order(job_id="Job_1:x", kind=kind, task=task, folder="/state/retraining/Job_1:x")


def made(settings: KubernetesSettings = EVERYTHING, kind: str = "train") -> dict[str, Any]:
    return manifest("retraining", order(kind), timedelta(hours=24), settings)


def container(job: dict[str, Any]) -> dict[str, Any]:
    (one,) = job["spec"]["template"]["spec"]["containers"]
    return dict(one)


@pytest.mark.parametrize("settings", [EVERYTHING, KubernetesSettings(image="i")])
def test_kubernetes_knows_every_field(settings: KubernetesSettings) -> None:
    jsonschema.validate(made(settings), SCHEMA)


def test_the_schema_would_find_a_field_that_kubernetes_does_not_know() -> None:
    job = made()
    job["spec"]["template"]["spec"]["restartPolicies"] = "Never"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(job, SCHEMA)


def test_it_runs_once_and_ends_at_its_deadline_whoever_is_left() -> None:
    spec = made()["spec"]
    assert (spec["backoffLimit"], spec["template"]["spec"]["restartPolicy"]) == (0, "Never")
    assert (spec["activeDeadlineSeconds"], spec["ttlSecondsAfterFinished"]) == (24 * 3600, 3600)


def test_only_training_asks_for_a_gpu() -> None:
    assert container(made(kind="train"))["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert "nvidia.com/gpu" not in container(made(kind="evaluate"))["resources"]["limits"]


def test_processes_on_several_gpus_have_more_than_the_usual_shared_memory() -> None:
    assert "/dev/shm" not in str(made(kind="train"))
    several = made(EVERYTHING.model_copy(update={"gpus": {"train": 4}}))
    assert {"name": "shm", "mountPath": "/dev/shm"} in container(several)["volumeMounts"]
    assert {"name": "shm", "emptyDir": {"medium": "Memory"}} in several["spec"]["template"]["spec"]["volumes"]


def test_only_training_is_given_the_private_key() -> None:
    for kind, mounted in {"train": {"signing", "public-keys"}, "evaluate": {"public-keys"}}.items():
        job = made(kind=kind)
        mounts = {mount["name"]: mount for mount in container(job)["volumeMounts"]}
        assert mounts.keys() & {"signing", "public-keys"} == mounted
        assert all(mounts[name]["readOnly"] and mounts[name]["mountPath"] == f"/{name}" for name in mounted)
        assert {volume["name"] for volume in job["spec"]["template"]["spec"]["volumes"]} == set(mounts)
    assert {mount["name"] for mount in container(made(KubernetesSettings(image="i")))["volumeMounts"]} == {
        "tmp",
        "state",
    }


def test_its_order_is_environment_and_passwords_come_from_a_secret() -> None:
    one = container(made())
    environment = {row["name"]: row["value"] for row in one["env"]}
    assert Order.model_validate_json(environment[ORDER_VARIABLE]) == order()
    assert set(environment) == {ORDER_VARIABLE, "STATE_FOLDER", "HOME"}
    assert {"secretRef": {"name": "tuneloop"}} in one["envFrom"]
    assert one["command"] == ["python", "-m", "services.retraining.job"]


def test_it_may_do_nothing_that_it_need_not() -> None:
    pod = made()["spec"]["template"]["spec"]
    assert (pod["securityContext"]["runAsNonRoot"], pod["automountServiceAccountToken"]) == (True, False)
    rights = container(made())["securityContext"]
    assert (rights["allowPrivilegeEscalation"], rights["readOnlyRootFilesystem"]) == (False, True)
    assert rights["capabilities"] == {"drop": ["ALL"]}


def test_a_name_is_a_dns_label_and_the_same_for_the_same_job() -> None:
    name = job_name("failure_clustering", "Any:thing_that.is-an.id" * 5)
    assert len(name) <= 63
    assert name.replace("-", "").isalnum()
    assert name == name.lower() == job_name("failure_clustering", "Any:thing_that.is-an.id" * 5)
    assert name != job_name("failure_clustering", "other")


def test_what_cannot_be_started_says_why() -> None:
    with pytest.raises(CannotStart, match="JOB_KUBERNETES_IMAGE"):
        made(KubernetesSettings())
    with pytest.raises(CannotStart, match="fewer or shorter labels"):
        manifest("retraining", order(rows=["x" * 130_000]), timedelta(hours=1), EVERYTHING)
