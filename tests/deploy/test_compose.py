"""docker-compose.yml, which needs a Docker engine to run, held against the code and the specification."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from compose_pydantic import ComposeSpecification

from deploy.laptop.base_model import NAME as BASE_MODEL
from deploy.laptop.vllm import ENVIRONMENT, GPU_SHARE, vllm_command
from deploy.signing_key import PRIVATE, PUBLIC
from services.console.settings import Settings as ConsoleSettings
from services.retraining.settings import Settings as RetrainingSettings
from services.shadow_deployment.settings import Settings as ShadowSettings
from shared.addresses import Addresses
from shared.flow import FLOW
from shared.http_conventions import HttpSettings
from shared.http_tls import refuse_readable_key

ROOT = Path(__file__).parent.parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
IMAGE, CUDA_IMAGE = ((ROOT / "deploy" / name).read_text() for name in ("Dockerfile", "Dockerfile.cuda"))
SERVERS = {"kafka", "clickhouse", "vllm"}
ON_A_GPU = {"retraining"}
UPGRADE = "upgrade-signing.pem"
ASKED = ("HUMAN_REVIEW_URL", "WORKLOADS_URL")


def test_it_parses_against_the_compose_specification() -> None:
    content = {key: value for key, value in COMPOSE.items() if not key.startswith("x-")}
    assert ComposeSpecification.model_validate(content)


def test_every_service_has_a_container_and_nothing_else_has() -> None:
    assert set(COMPOSE["services"]) == set(FLOW) | SERVERS


@pytest.mark.parametrize("name", sorted(set(FLOW) - ON_A_GPU))
def test_a_container_runs_the_service_it_is_named_after(name: str) -> None:
    assert COMPOSE["services"][name]["build"]["args"] == {"SERVICE": name}


def test_training_and_the_model_server_have_a_gpu_each() -> None:
    gpus = {}
    for name, service in COMPOSE["services"].items():
        for device in (
            service.get("deploy", {}).get("resources", {}).get("reservations", {}).get("devices", [])
        ):
            gpus[name] = device["device_ids"]
    assert gpus == {"vllm": ["${VLLM_GPU:-0}"], "retraining": ["${RETRAINING_GPU:-1}"]}


def options(words: list[str]) -> dict[str, str]:
    """`--name=value` by name; of one that is only there, an empty value."""
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def test_vllm_is_started_as_on_a_laptop() -> None:
    vllm = COMPOSE["services"]["vllm"]
    model = f"/models/{BASE_MODEL}"
    first, *given = vllm["command"]
    share = f"${{{GPU_SHARE}:-0.9}}"
    _, _, _, *laptop = vllm_command(Path("python"), 8000, Path(model), BASE_MODEL, gpu_share=share)
    of_the_image = {"--host", "--port"}
    expected = {name: value for name, value in options(laptop).items() if name not in of_the_image}
    assert options(given) | {"--model": first} == expected
    of_a_cpu = {"VLLM_CPU_KVCACHE_SPACE"}
    assert vllm["environment"] == {name: ENVIRONMENT[name] for name in ENVIRONMENT.keys() - of_a_cpu}


def test_vllm_takes_the_highest_rank_that_retraining_gives() -> None:
    given = options(COMPOSE["services"]["vllm"]["command"])
    assert given["--max-lora-rank"] == str(RetrainingSettings.model_fields["lora_rank"].default)


def test_the_image_for_a_gpu_runs_retraining_and_else_is_the_other_one() -> None:
    [name] = ON_A_GPU
    assert COMPOSE["services"][name]["build"] == {"context": ".", "dockerfile": "deploy/Dockerfile.cuda"}
    assert f"ENV SERVICE={name} " in CUDA_IMAGE
    for line in IMAGE.splitlines():
        if line.startswith(("FROM", "COPY", "USER", "EXPOSE", "CMD", "HEALTHCHECK", "WORKDIR")):
            assert line in CUDA_IMAGE.splitlines()


@pytest.mark.parametrize("name", sorted(FLOW))
def test_its_settings_are_settings_the_code_reads(name: str) -> None:
    known = {field.upper() for field in Addresses.model_fields}
    known |= {f"HTTP_{field}".upper() for field in HttpSettings.model_fields}
    if name == "workloads":
        known |= {"TUNELOOP_URL", "TUNELOOP_KEY_FILE"}
    if name == "retraining":
        known |= {f"RETRAINING_{field}".upper() for field in RetrainingSettings.model_fields}
    if name == "shadow_deployment":
        known |= {f"SHADOW_DEPLOYMENT_{field}".upper() for field in ShadowSettings.model_fields}
    if name == "console":
        known |= {field.upper() for field in ConsoleSettings.model_fields}
    assert set(COMPOSE["services"][name]["environment"]) <= known


def test_a_service_that_another_asks_is_known_by_its_name() -> None:
    for service in COMPOSE["services"].values():
        environment = service.get("environment", {})
        named = environment.get("HTTP_HOSTS", "").split(",")
        assert {urlsplit(environment[url]).hostname for url in ASKED if url in environment} <= {*named}


def test_whoever_loads_adapters_has_the_public_key_and_only_retraining_the_private_one() -> None:
    given = {name: set(service.get("secrets", [])) for name, service in COMPOSE["services"].items()}
    assert {name: secrets for name, secrets in given.items() if secrets} == {
        "model_gateway": {PUBLIC},
        "shadow_deployment": {PUBLIC, UPGRADE},
        "retraining": {PUBLIC, PRIVATE},
    }
    for name in ("model_gateway", "shadow_deployment", "retraining"):
        assert COMPOSE["services"][name]["environment"]["ADAPTERS_PUBLIC_KEY"] == f"/run/secrets/{PUBLIC}"
    signing = COMPOSE["services"]["retraining"]["environment"]["RETRAINING_SIGNING_KEY"]
    assert signing == f"/run/secrets/{PRIVATE}"
    assert set(COMPOSE["secrets"]) == {PUBLIC, PRIVATE, UPGRADE}


def test_the_shadow_is_given_a_private_key_only_while_an_upgrade_asks_for_it() -> None:
    """`:+` is empty and `:-` is /dev/null, which holds nothing, where the variable is not set or is empty."""
    variable = "SHADOW_DEPLOYMENT_SIGNING_KEY"
    environment = COMPOSE["services"]["shadow_deployment"]["environment"]
    assert environment[variable] == f"${{{variable}:+/run/secrets/{UPGRADE}}}"
    assert COMPOSE["secrets"][UPGRADE] == {"file": f"${{{variable}:-/dev/null}}"}


def test_whoever_writes_files_may_and_nobody_else() -> None:
    mounts = {
        name: volume
        for name, service in COMPOSE["services"].items()
        for volume in service.get("volumes", [])
        if volume.startswith("files:")
    }
    writers = {
        path.relative_to(ROOT / "services").parts[0]
        for path in (ROOT / "services").rglob("*.py")
        if re.search(r"\.freeze_(rows|adapter)\b", path.read_text("utf-8"))
    }
    assert {name for name, volume in mounts.items() if not volume.endswith(":ro")} == writers


def test_the_console_asks_containers_that_are_there() -> None:
    environment = COMPOSE["services"]["console"]["environment"]
    for name in (one for one in ConsoleSettings.model_fields if one.endswith("_url")):
        assert environment[name.upper()] == f"http://{name.removesuffix('_url')}:8080"
        refuse_readable_key(environment[name.upper()], plain=environment["HTTP_PLAIN"] == "true")


@pytest.mark.parametrize("name", sorted(SERVERS))
def test_images_are_pinned_to_a_version(name: str) -> None:
    assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+(\.\d+)*(@\S+)?", COMPOSE["services"][name]["image"])


def test_no_port_is_published_beyond_loopback() -> None:
    published = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_volumes_that_are_mounted_are_declared() -> None:
    mounted = {
        volume.split(":")[0]
        for service in COMPOSE["services"].values()
        for volume in service.get("volumes", [])
    }
    assert mounted == set(COMPOSE["volumes"])


def test_every_service_has_the_extra_that_its_image_installs() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert set(FLOW) <= set(pyproject["project"]["optional-dependencies"])
