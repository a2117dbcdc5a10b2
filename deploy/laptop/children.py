"""What runs on the laptop, in which order, and with which addresses."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from deploy.laptop.base_model import NAME as BASE_MODEL
from deploy.laptop.readiness import clickhouse_answers, http_answers, kafka_answers
from deploy.laptop.running import state_of
from deploy.laptop.supervisor import Child
from deploy.laptop.vllm import ENVIRONMENT as VLLM_ENVIRONMENT
from deploy.laptop.vllm import PATIENCE_SECONDS, vllm_command
from deploy.subject_key import subject_key_file
from shared.access.host_key import host_key_file
from shared.addresses import Addresses
from shared.flow import FLOW
from shared.kafka import Kafka
from shared.loopback import IPV4, NAME

NAMED_BY = {
    "kafka": "KAFKA_BOOTSTRAP_SERVERS",
    "clickhouse": "CLICKHOUSE_URL",
    "models": "MODELS_URL",
}
"""Which servers are started here, unless the environment already names one."""
MODULES = {
    "kafka": "deploy.laptop.kafka",
    "clickhouse": "deploy.laptop.clickhouse",
    "models": "deploy.laptop.model_server",
}
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",  # everything needed is here; a hub is never asked behind anybody's back
    "OMP_WAIT_POLICY": "PASSIVE",  # threads that spin while they wait starve answers beside a training job
}
SIGNS = ("RETRAINING_SIGNING_KEY", "SHADOW_DEPLOYMENT_SIGNING_KEY")
"""Who is told the private key. All who verify are told the public one."""
ASKED_OVER_HTTP = ("HUMAN_REVIEW_URL", "WORKLOADS_URL")
"""Whom the console asks."""
NO_MODELS = "http://127.0.0.1:9"
"""Where none is started and none is named: nobody answers at the port `discard`."""
GATEWAY = "model_gateway"
OTHERS = tuple(name for name in FLOW if name != GATEWAY)


@dataclass(frozen=True)
class Place:
    """Where things lie and listen. `ports` holds one for each program that is started here."""

    data: Path
    models: Path
    """Base models by name."""
    ports: Mapping[str, int]
    fsync: bool = False
    vllm: Path | None = None
    """An interpreter whose vLLM serves in place of our model server."""
    vllm_gpu_share: str = ""
    host: str = ""
    """An address besides loopback on which gateway and services listen; nothing else ever does."""
    is_plain: bool = False
    """Whether they speak plain HTTP there."""
    tls: tuple[str, str] = ("", "")
    """The files of the certificate and its key that they show there, as they were named."""
    services: Sequence[str] = OTHERS
    """Which run in the process `services`."""

    @property
    def passwords(self) -> Path:
        return self.data / "clickhouse-passwords.json"

    @property
    def subject_key(self) -> Path:
        return subject_key_file(self.data)

    @property
    def session_key(self) -> Path:
        return self.data / "session-key"

    @property
    def signing_key(self) -> Path:
        return self.data / "adapters-signing.pem"

    @property
    def public_key(self) -> Path:
        return self.data / "adapters-public.pem"

    def url(self, name: str) -> str:
        return f"http://{IPV4}:{self.ports[name]}"

    def shown_url(self, name: str) -> str:
        """By which people reach it."""
        if not self.host:
            return self.url(name)
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'http' if self.is_plain else 'https'}://{host}:{self.ports[name]}"

    def state(self, process: str) -> Path:
        return state_of(self.data, process)


def started_here(environment: Mapping[str, str]) -> list[str]:
    """The programs that need a port: the servers the environment does not name, then ours."""
    return [name for name, variable in NAMED_BY.items() if not environment.get(variable)] + [
        "gateway",
        "services",
    ]


def addresses(
    place: Place, environment: Mapping[str, str], clickhouse_password: str, subject_key: str, session_key: str
) -> Addresses:
    """The four addresses: of what is started here, else the environment's. So it is with the pair of keys."""
    here, login = place.ports, f"tuneloop:{clickhouse_password}"
    return Addresses(
        kafka_bootstrap_servers=(
            f"{IPV4}:{here['kafka']}" if "kafka" in here else environment["KAFKA_BOOTSTRAP_SERVERS"]
        ),
        clickhouse_url=(
            f"http://{login}@{IPV4}:{here['clickhouse']}/tuneloop"
            if "clickhouse" in here
            else environment["CLICKHOUSE_URL"]
        ),
        models_url=place.url("models") if "models" in here else environment.get("MODELS_URL") or NO_MODELS,
        files_uri=environment.get("FILES_URI") or (place.data / "files").as_uri(),
        # Training reads what our model server serves; what another one serves comes from where it says.
        base_models=str(place.models) if "models" in here else environment.get("BASE_MODELS", ""),
        state_folder=place.state("command-line"),
        adapters_public_key=environment.get("ADAPTERS_PUBLIC_KEY", "")
        if _names_keys(environment)
        else str(place.public_key),
        subject_key=environment.get("SUBJECT_KEY") or subject_key,
        session_key=environment.get("SESSION_KEY") or session_key,
    )


def _names_keys(environment: Mapping[str, str]) -> bool:
    """Half a pair of the environment's is not made whole with half of ours."""
    return any(environment.get(name) for name in ("ADAPTERS_PUBLIC_KEY", *SIGNS))


def children(place: Place, where: Addresses) -> list[Child]:
    """Everything to start: servers first, then those who need them."""
    makers = {"kafka": _kafka, "clickhouse": _clickhouse, "models": _models}
    servers = [make(place, where) for name, make in makers.items() if name in place.ports]
    ours = {"gateway": [GATEWAY], "services": place.services}
    return servers + [
        _services(place, where, one, names) for one, names in ours.items() if one in place.ports
    ]


def _kafka(place: Place, where: Addresses) -> Child:
    is_ready = partial(kafka_answers, Kafka(where.kafka_bootstrap_servers))
    fsync = ["--fsync"] if place.fsync else []
    return _server("kafka", place, is_ready, "--data", str(place.data / "kafka"), *fsync)


def _clickhouse(place: Place, where: Addresses) -> Child:
    is_ready = partial(clickhouse_answers, where.clickhouse_url)
    arguments = ["--data", str(place.data / "clickhouse"), "--password-file", str(place.passwords)]
    return replace(_server("clickhouse", place, is_ready, *arguments), is_watched=True)


def _models(place: Place, where: Addresses) -> Child:
    is_ready = partial(http_answers, f"{where.models_url}/health")
    model = place.models / BASE_MODEL
    if place.vllm is None:
        return _server("models", place, is_ready, "--model", str(model), "--served-model-name", BASE_MODEL)
    command = vllm_command(
        place.vllm, place.ports["models"], model, BASE_MODEL, gpu_share=place.vllm_gpu_share
    )
    environment = {**ENVIRONMENT, **VLLM_ENVIRONMENT}
    return Child("models", command, is_ready, environment, patience_seconds=PATIENCE_SECONDS)


def _server(name: str, place: Place, is_ready: Callable[[], Awaitable[bool]], *arguments: str) -> Child:
    command = [sys.executable, "-m", MODULES[name], "--port", str(place.ports[name]), "--stop-with-stdin"]
    return Child(name, [*command, *arguments], is_ready, ENVIRONMENT, stops_with_stdin=True)


def _services(place: Place, where: Addresses, process: str, names: Sequence[str]) -> Child:
    command = [sys.executable, "-m", "services", *names, "--port", str(place.ports[process]), "--host", NAME]
    command += ["--host", place.host] if place.host else []
    told = where.model_copy(update={"state_folder": place.state(process)})
    environment = {name.upper(): str(value) for name, value in told.model_dump().items()}
    environment |= {name: place.url("services") for name in ASKED_OVER_HTTP}
    environment["HOST_KEY_FILE"] = str(host_key_file(place.state("services")))
    if place.is_plain:
        environment["HTTP_PLAIN"] = "true"
    named = zip(("HTTP_TLS_CERTIFICATE", "HTTP_TLS_KEY"), place.tls, strict=True)
    environment |= {name: str(Path(file).absolute()) for name, file in named if file}  # they run elsewhere
    if GATEWAY not in names and where.adapters_public_key == str(place.public_key):
        environment |= {name: str(place.signing_key) for name in SIGNS}
    is_ready = partial(http_answers, f"{place.url(process)}/health/ready")
    return Child(process, command, is_ready, {**ENVIRONMENT, **environment})
