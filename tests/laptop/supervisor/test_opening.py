"""A laptop opens to other machines only where somebody could come in and nobody can read along."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from deploy.cli import app
from deploy.laptop.children import Place, addresses, children
from deploy.laptop.errors import LaptopError
from deploy.laptop.laptop import LaptopSettings
from deploy.laptop.opening import has_usable_key, is_beyond_loopback, own_addresses, refuse_to_open
from deploy.laptop.running import state_of
from shared.access.admission import KNOWN_KEYS, Admission
from shared.access.api_key import new_key
from shared.access.roles import Role
from shared.http_conventions import HttpSettings
from shared.loopback import IPV4
from tests.laptop.supervisor.test_children import PORTS
from tests.servers.certificates import self_signed
from tests.shared.access.test_keys import NOW, made

PLAIN = HttpSettings(plain=True)
OURS = next(iter(own_addresses()), IPV4)


async def keep_a_key(data: Path, **more: Any) -> None:
    """As the services keep those they know."""
    folder = state_of(data, "services")
    folder.mkdir(parents=True, exist_ok=True)
    kept = Admission(lambda: NOW, folder / KNOWN_KEYS, beyond_loopback=False)
    await kept.completed()
    await kept.on_access_changed(made(new_key(), **{"role": Role.OPERATOR, **more}))


async def test_it_opens_where_a_key_does(tmp_path: Path) -> None:
    with pytest.raises(LaptopError, match=f"tuneloop keys create NAME --role operator --data {tmp_path}$"):
        refuse_to_open(OURS, tmp_path, PLAIN)
    await keep_a_key(tmp_path)
    refuse_to_open(OURS, tmp_path, PLAIN)


@pytest.mark.parametrize(
    "settings", [HttpSettings(hosts="tuneloop.example.org"), HttpSettings(proxies="127.0.0.1")]
)
async def test_a_proxy_opens_it_as_an_address_does(tmp_path: Path, settings: HttpSettings) -> None:
    refuse_to_open("", tmp_path, HttpSettings())
    with pytest.raises(LaptopError, match="tuneloop keys create NAME --role operator"):
        refuse_to_open("", tmp_path, settings)
    await keep_a_key(tmp_path)
    refuse_to_open("", tmp_path, settings)


async def test_it_does_not_open_to_keys_that_anybody_reads(tmp_path: Path) -> None:
    await keep_a_key(tmp_path)
    with pytest.raises(LaptopError, match="--plain-http"):
        refuse_to_open(OURS, tmp_path, HttpSettings())
    made = self_signed(tmp_path, OURS)
    refuse_to_open(OURS, tmp_path, HttpSettings(tls_certificate=str(made.certificate), tls_key=str(made.key)))


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("0.0.0.0", "is all of them. This machine has"),
        ("::", "is all of them"),
        ("198.51.100.7", "is no address of this machine"),
        ("tuneloop.example.org", "is none.*HTTP_HOSTS"),
    ],
)
def test_what_is_no_address_of_this_machine_is_said(tmp_path: Path, host: str, said: str) -> None:
    with pytest.raises(LaptopError, match=said):
        refuse_to_open(host, tmp_path, PLAIN)


@pytest.mark.parametrize(
    "more", [{"revoked_at": NOW, "revision": 2}, {"expires_at": NOW}, {"expires_at": NOW - timedelta(days=1)}]
)
async def test_a_key_that_is_over_opens_nothing(tmp_path: Path, more: dict[str, Any]) -> None:
    await keep_a_key(tmp_path, **more)
    assert not has_usable_key(tmp_path, NOW)
    await keep_a_key(tmp_path)
    assert has_usable_key(tmp_path, NOW)


@pytest.mark.parametrize(
    "more", [{"role": Role.APP}, {"role": Role.REVIEWER}, {"role": Role.AUDITOR}, {"workloads": ["tickets"]}]
)
async def test_it_does_not_open_where_nobody_may_operate_all_of_it(
    tmp_path: Path, more: dict[str, Any]
) -> None:
    await keep_a_key(tmp_path, **more)
    with pytest.raises(LaptopError, match="no operator's key opens anything"):
        refuse_to_open(OURS, tmp_path, PLAIN)


def test_a_host_that_is_to_be_given_and_is_empty_opens_nothing_and_starts_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    result = CliRunner().invoke(app, ["up", "--host", "", "--data", str(data)])
    assert result.exit_code == 1
    assert "--host takes an address, and nothing stands there" in result.stderr
    assert not data.exists()


def test_loopback_by_any_name_opens_nothing() -> None:
    assert not any(map(is_beyond_loopback, ("", "localhost", "127.0.0.1", "::1")))
    assert LaptopSettings(host="localhost").outer_host == ""


@pytest.mark.parametrize(("host", "is_plain"), [("192.0.2.7", False), ("2001:db8::7", True)])
def test_gateway_and_services_alone_listen_there(tmp_path: Path, host: str, is_plain: bool) -> None:
    place = Place(tmp_path, tmp_path / "models", PORTS, host=host, is_plain=is_plain)
    started = children(place, addresses(place, {}, "pw", "key", "session"))
    assert [child.name for child in started if host in child.command] == ["gateway", "services"]
    assert {child.environment.get("HTTP_PLAIN") for child in started[3:]} == {"true" if is_plain else None}
    shown = {("192.0.2.7", False): "https://192.0.2.7:4", ("2001:db8::7", True): "http://[2001:db8::7]:4"}
    assert place.shown_url("gateway") == shown[host, is_plain]
    assert place.url("gateway") == "http://127.0.0.1:4"


def test_files_named_from_where_it_was_started_are_found_by_who_runs_elsewhere(tmp_path: Path) -> None:
    place = Place(tmp_path, tmp_path / "models", PORTS, host=OURS, tls=("tls.pem", "/etc/key.pem"))
    for child in children(place, addresses(place, {}, "pw", "key", "session"))[3:]:
        assert child.environment["HTTP_TLS_CERTIFICATE"] == str(Path.cwd() / "tls.pem")
        assert child.environment["HTTP_TLS_KEY"] == "/etc/key.pem"


def test_for_keys_alone_nothing_starts_but_what_keeps_them(tmp_path: Path) -> None:
    place = Place(
        tmp_path,
        tmp_path / "models",
        {"kafka": 1, "clickhouse": 2, "services": 5},
        services=["workloads"],
    )
    started = children(place, addresses(place, {}, "pw", "key", "session"))
    assert [child.name for child in started] == ["kafka", "clickhouse", "services"]
    assert "workloads" in started[-1].command
    assert "retraining" not in started[-1].command
