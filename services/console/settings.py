"""What an operator may set for this service."""

from __future__ import annotations

from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Read from the environment, by these names in upper case."""

    model_config = SettingsConfigDict(frozen=True)

    human_review_url: str = "http://127.0.0.1:8081"
    """Where human_review gives out what is to be reviewed, and takes reviews."""
    workloads_url: str = "http://127.0.0.1:8081"
    """Where workloads says how each stands, and starts a cycle or a rollback."""
    services_ca: str = ""
    """A PEM file with the certificates by which these two are verified, besides those the system trusts."""
