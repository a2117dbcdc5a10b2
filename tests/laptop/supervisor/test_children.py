"""What runs on the laptop, and with which addresses."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from deploy.laptop.children import Place, addresses, children, started_here
from deploy.laptop.errors import LaptopError
from deploy.laptop.vllm import SETTING, left_to_the_cpu, vllm_python
from shared.flow import FLOW

PORTS = {"kafka": 1, "clickhouse": 2, "models": 3, "gateway": 4, "services": 5}
ELSEWHERE = {
    "KAFKA_BOOTSTRAP_SERVERS": "kafka.example:9092",
    "CLICKHOUSE_URL": "https://me:secret@tables.example:8443/loop",
    "MODELS_URL": "http://vllm.example:8000",
    "FILES_URI": "s3://bucket/files",
}


def test_without_an_environment_everything_runs_here(tmp_path: Path) -> None:
    assert started_here({}) == ["kafka", "clickhouse", "models", "gateway", "services"]
    where = addresses(Place(tmp_path, tmp_path / "models", PORTS), {}, "pw", "key", "session")
    assert where.kafka_bootstrap_servers == "127.0.0.1:1"
    assert where.clickhouse_url == "http://tuneloop:pw@127.0.0.1:2/tuneloop"
    assert where.models_url == "http://127.0.0.1:3"
    assert where.files_uri == f"file://{tmp_path}/files"
    assert where.base_models == str(tmp_path / "models")


def test_what_the_environment_names_is_used_and_not_started(tmp_path: Path) -> None:
    assert started_here(ELSEWHERE) == ["gateway", "services"]
    place = Place(tmp_path, tmp_path / "models", {"gateway": 4, "services": 5})
    where = addresses(place, ELSEWHERE, "pw", "key", "session")
    named = (where.kafka_bootstrap_servers, where.clickhouse_url, where.models_url, where.files_uri)
    assert named == tuple(ELSEWHERE.values())
    assert [child.name for child in children(place, where)] == ["gateway", "services"]


def test_an_empty_variable_names_nothing() -> None:
    assert "kafka" in started_here({"KAFKA_BOOTSTRAP_SERVERS": ""})


def test_servers_start_before_services_and_the_gateway_runs_alone(tmp_path: Path) -> None:
    place = Place(tmp_path, tmp_path / "models", PORTS)
    started = children(place, addresses(place, {}, "pw", "key", "session"))
    assert [child.name for child in started] == ["kafka", "clickhouse", "models", "gateway", "services"]
    gateway, services = ([word for word in child.command if word in FLOW] for child in started[3:])
    assert gateway == ["model_gateway"]
    assert sorted(gateway + services) == sorted(FLOW)


def test_the_broker_waits_for_the_disk_where_that_is_asked_for(tmp_path: Path) -> None:
    for fsync in (False, True):
        place = Place(tmp_path, tmp_path / "models", PORTS, fsync)
        kafka = children(place, addresses(place, {}, "pw", "key", "session"))[0]
        assert ("--fsync" in kafka.command) is fsync


def test_vllm_takes_the_place_of_the_model_server_where_an_interpreter_is_named(tmp_path: Path) -> None:
    python = tmp_path / "python"
    place = Place(tmp_path, tmp_path / "models", PORTS, vllm=python)
    models = children(place, addresses(place, {}, "pw", "key", "session"))[2]
    assert models.command[:3] == [str(python), "-m", "vllm.entrypoints.openai.api_server"]
    assert {"--port=3", "--max-logprobs=512", "--max-lora-rank=64", "--host=127.0.0.1"} <= set(models.command)
    assert models.environment["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "True"


def test_vllm_takes_the_share_of_a_gpu_that_it_is_given(tmp_path: Path) -> None:
    def options(share: str) -> list[str]:
        place = Place(tmp_path, tmp_path / "models", PORTS, vllm=tmp_path / "python", vllm_gpu_share=share)
        command = children(place, addresses(place, {}, "pw", "key", "session"))[2].command
        return [word for word in command if word.startswith("--gpu")]

    assert options("0.5") == ["--gpu-memory-utilization=0.5"]
    assert options("") == []


def test_a_gpu_that_answers_nothing_is_said_with_what_to_set() -> None:
    assert left_to_the_cpu(None, ()) == left_to_the_cpu(Path("python"), ("0",)) == ""
    assert f"{SETTING} names an interpreter that has vLLM" in left_to_the_cpu(None, ("0",))


def test_an_interpreter_that_is_not_there_is_said_before_anything_starts(tmp_path: Path) -> None:
    assert vllm_python({}) is None
    assert vllm_python({SETTING: sys.executable}) == Path(sys.executable)
    with pytest.raises(LaptopError, match=f"{SETTING} is /nowhere/python, and no Python interpreter"):
        vllm_python({SETTING: "/nowhere/python"})


def test_services_are_told_their_addresses_and_each_process_has_its_own_state(tmp_path: Path) -> None:
    place = Place(tmp_path, tmp_path / "models", PORTS)
    *_, gateway, services = children(place, addresses(place, {}, "pw", "key", "session"))
    assert gateway.environment["CLICKHOUSE_URL"] == "http://tuneloop:pw@127.0.0.1:2/tuneloop"
    assert gateway.environment["STATE_FOLDER"] == str(tmp_path / "state" / "gateway")
    assert services.environment["STATE_FOLDER"] == str(tmp_path / "state" / "services")
    assert (
        services.environment["HUMAN_REVIEW_URL"]
        == services.environment["WORKLOADS_URL"]
        == place.url("services")
    )
    assert gateway.environment["HF_HUB_OFFLINE"] == "1"
    assert gateway.environment["SUBJECT_KEY"] == services.environment["SUBJECT_KEY"] == "key"
    assert not any(
        secret in child.command for child in (gateway, services) for secret in ("pw", "key", "session")
    )


def test_a_subject_key_in_the_environment_is_the_one_that_counts(tmp_path: Path) -> None:
    place = Place(tmp_path, tmp_path / "models", PORTS)
    assert addresses(place, {"SUBJECT_KEY": "theirs"}, "pw", "ours", "session").subject_key == "theirs"


def test_only_the_process_that_trains_is_told_the_private_key_and_all_know_the_public_one(
    tmp_path: Path,
) -> None:
    place = Place(tmp_path, tmp_path / "models", PORTS)
    *_, gateway, services = children(place, addresses(place, {}, "pw", "key", "session"))
    for process in (gateway, services):
        assert process.environment["ADAPTERS_PUBLIC_KEY"] == str(place.public_key)
    for service in ("RETRAINING", "SHADOW_DEPLOYMENT"):
        assert services.environment[f"{service}_SIGNING_KEY"] == str(place.signing_key)
    assert not any("SIGNING" in name for name in gateway.environment)


@pytest.mark.parametrize("name", ["ADAPTERS_PUBLIC_KEY", "RETRAINING_SIGNING_KEY"])
def test_a_key_in_the_environment_is_not_paired_with_one_of_ours(tmp_path: Path, name: str) -> None:
    place = Place(tmp_path, tmp_path / "models", PORTS)
    where = addresses(place, {name: "theirs.pem"}, "pw", "key", "session")
    assert where.adapters_public_key == ("theirs.pem" if name == "ADAPTERS_PUBLIC_KEY" else "")
    *_, services = children(place, where)
    assert "RETRAINING_SIGNING_KEY" not in services.environment  # it comes from the environment, if at all
