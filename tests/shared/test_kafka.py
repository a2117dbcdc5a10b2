"""Every client proves who it is as the settings say, and a setting that would do nothing is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from deploy.laptop.laptop import LaptopError, LaptopSettings, start_laptop
from shared.broker import make_broker
from shared.kafka import CannotUseKafka, Kafka, KafkaSecurity
from shared.topics.away import why_away

ROOT = Path(__file__).parent.parent.parent
DOOR = "shared/kafka.py"


def security(**given: Any) -> KafkaSecurity:
    return KafkaSecurity.model_construct(**given)


SCRAM = security(security_protocol="SASL_PLAINTEXT", sasl_username="anna", sasl_password="secret")


def test_an_open_cluster_is_told_nothing() -> None:
    assert Kafka("a:1").client("me") == {"bootstrap.servers": "a:1", "client.id": "me"}


def test_a_user_is_proved_by_password() -> None:
    assert Kafka("a:1", SCRAM).client("me") == {
        "bootstrap.servers": "a:1",
        "client.id": "me",
        "security.protocol": "sasl_plaintext",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "anna",
        "sasl.password": "secret",
    }


def test_a_certificate_is_shown_and_the_brokers_are_verified(tmp_path: Path) -> None:
    for name in ("ca", "certificate", "key"):
        (tmp_path / name).write_text("pem")
    named = {f"ssl_{name}": str(tmp_path / name) for name in ("ca", "certificate", "key")}
    assert security(security_protocol="SSL", **named).librdkafka() == {
        "security.protocol": "ssl",
        "ssl.ca.location": str(tmp_path / "ca"),
        "ssl.certificate.location": str(tmp_path / "certificate"),
        "ssl.key.location": str(tmp_path / "key"),
    }


def test_a_password_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret\n")
    given = security(
        security_protocol="SASL_SSL", sasl_username="anna", sasl_password_file=str(tmp_path / "password")
    )
    assert given.librdkafka()["sasl.password"] == "secret"


def test_what_faststream_publishes_by_proves_it_too() -> None:
    made = make_broker(Kafka("a:1", SCRAM), "me", CollectorRegistry()).producer._settings
    assert SCRAM.librdkafka().items() <= made.items()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"sasl_username": "anna"}, "KAFKA_SASL_USERNAME is set, and .*=PLAINTEXT makes no use of it"),
        ({"ssl_ca": "ca.pem"}, "KAFKA_SSL_CA is set, and .*=PLAINTEXT makes no use of it"),
        ({"security_protocol": "SASL_SSL", "sasl_password": "x"}, "needs KAFKA_SASL_USERNAME"),
        ({"security_protocol": "SASL_SSL", "sasl_username": "anna"}, "KAFKA_SASL_PASSWORD_FILE"),
        (
            {
                "security_protocol": "SASL_SSL",
                "sasl_username": "anna",
                "sasl_password": "x",
                "sasl_password_file": "y",
            },
            "one of them only",
        ),
        (
            {"security_protocol": "SASL_SSL", "sasl_username": "anna", "sasl_password_file": "/none"},
            "/none cannot be read: No such file",
        ),
        (
            {
                "security_protocol": "SASL_PLAINTEXT",
                "sasl_mechanism": "PLAIN",
                "sasl_username": "anna",
                "sasl_password": "x",
            },
            "shows the password to whoever reads along",
        ),
        ({"security_protocol": "SSL", "ssl_key": "k.pem"}, "belong together"),
        ({"security_protocol": "SSL", "ssl_ca": "/none"}, "KAFKA_SSL_CA: there is no file /none"),
    ],
)
def test_a_setting_of_no_effect_is_refused_with_what_to_change(given: dict[str, str], said: str) -> None:
    with pytest.raises(CannotUseKafka, match=said):
        Kafka("a:1", security(**given)).client("me")


def test_a_password_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_SASL_PASSWORD", "s3cr3t")
    read = KafkaSecurity()
    assert read.sasl_password == "s3cr3t"
    assert "s3cr3t" not in f"{read!r} {read} {Kafka('a:1', read)!r}"


async def test_the_broker_of_a_laptop_is_not_asked_to_prove_anything(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    with pytest.raises(LaptopError, match="KAFKA_BOOTSTRAP_SERVERS names no cluster"):
        async with start_laptop(LaptopSettings(tmp_path, 0, 0, 0, 0, 0), lambda name, what: None):
            pass


@pytest.mark.parametrize(
    ("reported", "hint"),
    [
        ("SASL authentication error: Authentication failed during authentication", "does Kafka know them"),
        ("SSL handshake failed: certificate verify failed: broker certificate", "KAFKA_SSL_CA"),
        ("Disconnected: verify that security.protocol is correctly configured", "KAFKA_SECURITY_PROTOCOL"),
    ],
)
def test_who_is_turned_away_hears_which_setting_says_it(reported: str, hint: str) -> None:
    assert hint in why_away("a:1", [f"sasl_ssl://a:1/bootstrap: {reported} (after 3ms in state X)"])


def test_no_client_is_made_without_the_door() -> None:
    """Whoever names brokers by himself connects without proving anything."""
    names_brokers = re.compile(r"bootstrap\.servers|metadata\.broker\.list|bootstrap_servers\s*=(?!=)")
    others = re.compile(r"\b(KafkaAdminClient|KafkaConsumer|KafkaProducer|AIOKafka\w+)\b")
    sources = [path for folder in ("services", "shared", "deploy") for path in (ROOT / folder).rglob("*.py")]
    found = {
        str(path.relative_to(ROOT))
        for path in sources
        for line in path.read_text("utf-8").splitlines()
        if (names_brokers.search(line) and "kafka_bootstrap_servers" not in line) or others.search(line)
    }
    assert found == {DOOR}


def test_who_we_are_is_read_where_things_are_put_together() -> None:
    """Elsewhere a Kafka is given; the laptop's readiness means its own broker, which is open."""
    makers = {
        str(path.relative_to(ROOT))
        for folder in ("services", "shared", "deploy")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"(?<!class )\bKafka\((?!KafkaSecurity)", path.read_text("utf-8"))
    }
    assert makers == {
        "services/stack.py",
        "deploy/demo/run.py",
        "deploy/laptop/children.py",
        "shared/service.py",
    }
