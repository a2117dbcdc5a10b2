"""Apache Kafka as a team runs it: TLS, passwords, certificates, an authorizer that allows what it is told."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from shared.kafka import Kafka, KafkaSecurity
from shared.kafka_acls import Acl
from tests.servers.kafka import ApacheKafka
from tests.servers.model import free_port

ADMIN = "admin"
PLAIN = "plain"
"""A user who is known by PLAIN alone."""
STORE_PASSWORD = "of-the-store"
ANSWER_SECONDS = 10.0
AUTHORIZER = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"


def password_of(user: str) -> str:
    return f"secret-of-{user}"


@dataclass(frozen=True)
class SecuredKafka:
    """A running one, with an administrator who may do everything."""

    broker: ApacheKafka
    ca: Path
    by_certificate: Kafka
    """The cluster for User:CN=client, who proves it by a certificate. At a listener of its own."""

    def seen_by(self, user: str, password: str | None = None) -> Kafka:
        """The cluster for that user."""
        return Kafka(self.broker.address, security(user, self.ca, password))

    @cached_property
    def admin(self) -> AdminClient:
        return AdminClient(self.seen_by(ADMIN).client("tests"))

    def add_user(self, name: str, acls: Iterable[Acl] = ()) -> Kafka:
        """With its own password, and these ACLs."""
        for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):  # one in each request
            info = ScramCredentialInfo(mechanism, 4096)
            wanted = UserScramCredentialUpsertion(name, info, password_of(name).encode())
            for future in self.admin.alter_user_scram_credentials([wanted]).values():
                future.result(ANSWER_SECONDS)
        if acls := list(acls):
            self.allow(name, acls)
        return self.seen_by(name)

    def allow(self, user: str, acls: Iterable[Acl]) -> None:
        for future in self.admin.create_acls([_binding(user, acl) for acl in acls]).values():
            future.result(ANSWER_SECONDS)

    def take_all_from(self, user: str) -> None:
        everything = AclBindingFilter(
            ResourceType.ANY, None, ResourcePatternType.ANY, f"User:{user}", None, AclOperation.ANY,
            AclPermissionType.ANY,
        )  # fmt: skip
        for future in self.admin.delete_acls([everything]).values():
            future.result(ANSWER_SECONDS)


def environment(kafka: Kafka) -> dict[str, str]:
    """By which a process speaks to it so."""
    said = kafka.security.model_dump(exclude_defaults=True)
    return {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.servers,
        **{f"KAFKA_{name}".upper(): str(value) for name, value in said.items()},
    }


def _binding(user: str, acl: Acl) -> AclBinding:
    return AclBinding(
        ResourceType[acl.resource],
        acl.name,
        ResourcePatternType.PREFIXED if acl.is_prefix else ResourcePatternType.LITERAL,
        f"User:{user}",
        "*",
        AclOperation[acl.operation],
        AclPermissionType.ALLOW,
    )


def security(user: str, ca: Path, password: str | None = None) -> KafkaSecurity:
    return KafkaSecurity.model_construct(
        security_protocol="SASL_SSL",
        sasl_username=user,
        sasl_password=password or password_of(user),
        ssl_ca=str(ca),
    )


@contextmanager
def secured_kafka(home: Path, folder: Path, *, authorizer: bool = True) -> Iterator[SecuredKafka]:
    """Without `authorizer` whoever has a password may do everything."""
    folder.mkdir(parents=True, exist_ok=True)
    store, ca = folder / "store.p12", folder / "ca.pem"
    _certificate(store, ca)
    certificate, key, trusted = folder / "client.pem", folder / "client-key.pem", folder / "trusted.pem"
    _client_certificate(certificate, key)
    trusted.write_text(ca.read_text() + certificate.read_text())
    port = free_port()
    login = (
        "org.apache.kafka.common.security.scram.ScramLoginModule required "
        f'username="{ADMIN}" password="{password_of(ADMIN)}";'
    )
    listeners = f"SASL_SSL://127.0.0.1:{{port}},SSL://127.0.0.1:{port},CONTROLLER://127.0.0.1:{{controller}}"
    properties = {
        "listeners": listeners,
        "advertised.listeners": listeners,
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL",
        "inter.broker.listener.name": "SASL_SSL",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512,SCRAM-SHA-256,PLAIN",
        "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
        "listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config": login,
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": login,
        "listener.name.sasl_ssl.plain.sasl.jaas.config": (
            "org.apache.kafka.common.security.plain.PlainLoginModule required "
            f'user_{PLAIN}="{password_of(PLAIN)}";'
        ),
        "listener.name.ssl.ssl.client.auth": "required",
        "ssl.keystore.location": str(store),
        "ssl.keystore.password": STORE_PASSWORD,
        "ssl.keystore.type": "PKCS12",
        "ssl.truststore.location": str(trusted),
        "ssl.truststore.type": "PEM",
        "super.users": f"User:{ADMIN};User:ANONYMOUS",  # the latter speaks on the controller's listener
    }
    if authorizer:
        properties |= {"authorizer.class.name": AUTHORIZER, "allow.everyone.if.no.acl.found": "false"}
    broker = ApacheKafka(
        home, folder, properties, scram={ADMIN: password_of(ADMIN)}, security=security(ADMIN, ca)
    )
    try:
        broker.start()
        client = KafkaSecurity.model_construct(
            security_protocol="SSL", ssl_ca=str(ca), ssl_certificate=str(certificate), ssl_key=str(key)
        )
        yield SecuredKafka(broker, ca, Kafka(f"127.0.0.1:{port}", client))
    finally:
        if broker.is_running:
            broker.stop()


def _certificate(store: Path, ca: Path) -> None:
    """Of 127.0.0.1, signed by itself: it is its own authority."""
    keytool = ["keytool", "-alias", "kafka", "-keystore", str(store), "-storepass", STORE_PASSWORD]
    made = [
        "-genkeypair",
        "-keyalg",
        "EC",
        "-dname",
        "CN=kafka",
        "-ext",
        "san=ip:127.0.0.1",
        "-validity",
        "2",
    ]
    subprocess.run([*keytool, *made, "-storetype", "PKCS12"], check=True, capture_output=True)
    subprocess.run([*keytool, "-exportcert", "-rfc", "-file", str(ca)], check=True, capture_output=True)


def _client_certificate(certificate: Path, key: Path) -> None:
    made = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "client")])
    moment = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, made.public_key(), x509.random_serial_number())
        .not_valid_before(moment - timedelta(days=1))
        .not_valid_after(moment + timedelta(days=1))
        .sign(made, hashes.SHA256())
    )
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        made.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


def outcomes(kafka: Kafka, topics: Iterable[str]) -> dict[str, int | None]:
    """Of each topic what became of a record that this user wrote: None, or the error's code."""
    producer = Producer({**kafka.client("tests"), "log_level": 0, "message.timeout.ms": 20_000})
    said: dict[str, int | None] = {}

    def note(error: KafkaError | None, message: Message) -> None:
        said[str(message.topic())] = error.code() if error is not None else None

    for topic in topics:
        try:
            producer.produce(topic, b"{}", on_delivery=note)
        except KafkaException as error:  # known already
            said[topic] = error.args[0].code()
    assert producer.flush(30) == 0
    return said
