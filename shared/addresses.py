"""The four addresses a service knows, the folder it may scribble in, and two secrets."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Addresses(BaseSettings):
    """Read from the environment, by these names in upper case."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    kafka_bootstrap_servers: str = "127.0.0.1:9092"
    """Brokers to begin with, as host:port, separated by commas."""
    clickhouse_url: str = "http://tuneloop@127.0.0.1:8123/tuneloop"
    """User, password, host, port and database in one."""
    models_url: str = "http://127.0.0.1:8000"
    """An OpenAI-compatible server that loads LoRA adapters as vLLM does; several are separated by commas."""
    files_uri: str = "file:///var/lib/tuneloop/files"
    """Where datasets and adapters lie, as an fsspec URI."""
    models_files_folder: str = ""
    """Where the model server sees FILES_URI, if that is elsewhere: the folder of its mount of the bucket."""
    base_models: str = ""
    """A folder with base models by name, for training. Empty: names are a hub's, each with its revision."""
    state_folder: Path = Path("/var/lib/tuneloop/state")
    """This process's own: what is on its way to Kafka (records of gateway and intake, everybody's audited
    actions), jobs' scratch."""
    kafka_replication: int = Field(default=0, ge=0)
    """How many brokers keep each topic. 0: as many as there are, three at most."""
    adapters_public_key: str = ""
    """A PEM file with the public key that adapters are verified by before a model server loads them, or a
    folder of such files: the new key and the old one. Empty: adapters need no signature."""
    host_key_file: str = ""
    """A file with a key that opens everything in this process, made where it is missing. Empty: `host-key` in
    the state folder of `workloads`, and none elsewhere. Whoever may read it makes the first key."""
    session_key: str = Field(default="", repr=False)
    """A secret of all services, the same for all: browsers that signed in hold a session signed by it. Empty:
    nobody can sign in to the console, once there are keys."""
    subject_key: str = Field(default="", repr=False)
    """A secret of model_gateway, prediction_logging and human_review, and of a console with OIDC, the same
    for all: by it the users that apps name become `subject_id`, and the provider's people opaque ids, and by
    it is drawn what is audited and what is reviewed twice."""
