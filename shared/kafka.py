"""Where Kafka is and how our clients prove who they are: every client's settings begin here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.flow import NO_GROUP

OF_SASL = ("sasl_username", "sasl_password", "sasl_password_file")
OF_SSL = ("ssl_ca", "ssl_certificate", "ssl_key")


class CannotUseKafka(Exception):
    """Waiting does not help. The message says what to change, with the commands that do it."""


class KafkaSecurity(BaseSettings):
    """Read from the environment, by these names in upper case after KAFKA_."""

    model_config = SettingsConfigDict(env_prefix="KAFKA_", frozen=True, extra="ignore")

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """How the brokers' listener is spoken to. On a network that others share: `SASL_SSL` with a password, or
    `SSL` with a certificate of ours. The embedded broker speaks `PLAINTEXT` only."""
    sasl_mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = "SCRAM-SHA-512"
    """How the password is proved. `PLAIN` sends it as it is, so it needs `SASL_SSL`."""
    sasl_username: str = ""
    """Kafka's user; each service has its own where it is to have no other rights than its own."""
    sasl_password: str = Field(default="", repr=False)
    """Its password, or better:"""
    sasl_password_file: str = ""
    """A file with the password, as secrets are mounted. Read when the process starts."""
    ssl_ca: str = ""
    """A PEM file with the certificates that brokers are verified by. Empty: the system's own."""
    ssl_certificate: str = ""
    """A PEM file with this client's certificate, where brokers ask for one."""
    ssl_key: str = ""
    """A PEM file with its private key, without a passphrase: its mode protects it."""

    @property
    def is_open(self) -> bool:
        """Whether nothing is proved to anybody."""
        return self.security_protocol == "PLAINTEXT"

    def librdkafka(self) -> dict[str, str]:
        """As librdkafka's settings. Raises CannotUseKafka where one of them would be of no effect."""
        for complaint in self._complaints():
            raise CannotUseKafka(f"{complaint}.")
        if self.is_open:
            return {}
        options = {"security.protocol": self.security_protocol.lower()}
        if "SASL" in self.security_protocol:
            options |= {
                "sasl.mechanism": self.sasl_mechanism,
                "sasl.username": self.sasl_username,
                "sasl.password": self._password(),
            }
        named = {"ssl.ca": self.ssl_ca, "ssl.certificate": self.ssl_certificate, "ssl.key": self.ssl_key}
        return options | {f"{name}.location": path for name, path in named.items() if path}

    def _complaints(self) -> Iterator[str]:
        protocol, is_sasl = self.security_protocol, "SASL" in self.security_protocol
        of_sasl = [name for name in OF_SASL if getattr(self, name)]
        of_ssl = [name for name in OF_SSL if getattr(self, name)]
        if of_sasl and not is_sasl:
            yield f"{_variable(of_sasl[0])} is set, and KAFKA_SECURITY_PROTOCOL={protocol} makes no use of it"
        if of_ssl and "SSL" not in protocol:
            yield f"{_variable(of_ssl[0])} is set, and KAFKA_SECURITY_PROTOCOL={protocol} makes no use of it"
        if is_sasl and not self.sasl_username:
            yield f"KAFKA_SECURITY_PROTOCOL={protocol} needs KAFKA_SASL_USERNAME"
        if is_sasl and bool(self.sasl_password) == bool(self.sasl_password_file):
            yield (
                f"KAFKA_SECURITY_PROTOCOL={protocol} needs KAFKA_SASL_PASSWORD or KAFKA_SASL_PASSWORD_FILE, "
                "and one of them only"
            )
        if protocol == "SASL_PLAINTEXT" and self.sasl_mechanism == "PLAIN":
            yield (
                "KAFKA_SASL_MECHANISM=PLAIN with SASL_PLAINTEXT shows the password to whoever reads along: "
                "set SASL_SSL, or SCRAM-SHA-512"
            )
        if bool(self.ssl_certificate) != bool(self.ssl_key):
            yield "KAFKA_SSL_CERTIFICATE and KAFKA_SSL_KEY belong together, and one of them is not set"
        for name in of_ssl:
            if not Path(getattr(self, name)).is_file():
                yield f"{_variable(name)}: there is no file {getattr(self, name)}"

    def _password(self) -> str:
        if not self.sasl_password_file:
            return self.sasl_password
        try:
            return Path(self.sasl_password_file).read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is no text in UTF-8"
            raise CannotUseKafka(
                f"KAFKA_SASL_PASSWORD_FILE: {self.sasl_password_file} cannot be read: {why}."
            ) from None


OPEN = KafkaSecurity.model_construct()
"""Proves nothing: as the embedded broker is spoken to."""


@dataclass(frozen=True)
class Kafka:
    """A cluster, and who we are to it."""

    servers: str
    """Brokers to begin with, as host:port, separated by commas."""
    security: KafkaSecurity = OPEN

    @property
    def options(self) -> dict[str, str]:
        """What any client of librdkafka needs besides the brokers, FastStream's among them."""
        return self.security.librdkafka()

    def client(self, client_id: str) -> dict[str, Any]:
        """What the settings of any client begin with. Raises CannotUseKafka."""
        return {"bootstrap.servers": self.servers, "client.id": client_id, **self.options}

    def reader(self, client_id: str) -> dict[str, Any]:
        """The same for a consumer that joins no group and commits nothing.

        librdkafka wants a group's name all the same, and asks for its coordinator.
        """
        return {**self.client(client_id), "group.id": NO_GROUP, "enable.auto.commit": False}


def _variable(name: str) -> str:
    return f"KAFKA_{name}".upper()
