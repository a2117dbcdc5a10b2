"""What an operator may set for this service."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.access.roles import Role
from shared.loopback import is_this_machine


class CannotUseOidc(Exception):
    """Waiting does not help. The message says what to set."""


class Settings(BaseSettings):
    """Read from the environment, by these names in upper case."""

    model_config = SettingsConfigDict(frozen=True)

    human_review_url: str = "http://127.0.0.1:8081"
    """Where human_review gives out what is to be reviewed, and takes reviews."""
    workloads_url: str = "http://127.0.0.1:8081"
    """Where workloads says how each stands, and starts a cycle or a rollback."""
    services_ca: str = ""
    """A PEM file with the certificates by which these two are verified, besides those the system trusts."""
    oidc_issuer: str = Field(default="", pattern=r"^(https?://[^\s]+)?$")
    """An OpenID Connect provider by which people sign in, such as https://login.example.org. Its redirect
    address is /sign-in/oidc/back. Empty: they sign in by keys alone."""
    oidc_client_id: str = ""
    """What it calls this console."""
    oidc_client_secret: str = Field(default="", repr=False)
    """The secret that it gave for it; empty for a client that has none."""
    oidc_scope: str = "openid profile"
    """What it is asked for. Some providers tell of groups only where `groups` is among it."""
    oidc_roles_claim: str = "groups"
    """The claim of its ID tokens that says in which groups somebody is."""
    oidc_roles: dict[str, Role] = {}
    """Which role each group has, as JSON: {"ml-ops": "operator", "support": "reviewer"}. Of several groups
    the one that stands first here counts; who is in none does not come in."""
    oidc_contact: str = "whoever runs tuneloop"
    """Whom those are told to ask who are in none: a name or an address."""

    def oidc_complaint(self, subject_key: str) -> str:
        """Why nobody could sign in by the provider that is set; empty if nothing is wrong."""
        if not self.oidc_issuer:
            return ""
        if not self.oidc_issuer.startswith("https://") and not is_this_machine(self.oidc_issuer):
            return f"OIDC_ISSUER is {self.oidc_issuer}: what is not on this machine has to be https://"
        if not self.oidc_client_id or not self.oidc_roles:
            return "OIDC_ISSUER is set, and needs OIDC_CLIENT_ID and OIDC_ROLES"
        if "openid" not in self.oidc_scope.split():
            return f"OIDC_SCOPE is “{self.oidc_scope}”, without openid nobody is vouched for"
        if not subject_key:
            return "OIDC_ISSUER is set, and needs SUBJECT_KEY: people become opaque ids by it"
        return ""
