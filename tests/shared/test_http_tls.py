"""TLS beyond loopback, plain HTTP on it, and no keys readably unless that was asked for."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request

from deploy.laptop.opening import own_addresses
from shared.http_conventions import HttpSettings
from shared.http_server import HttpServer, server_config
from shared.http_tls import CannotUseTls, tls_beyond_loopback, trusted_with
from shared.loopback import IPV4, bound_sockets
from shared.service_client import ServiceAway, ServiceClient
from tests.servers.certificates import Certificate, self_signed

OURS = next((one for one in own_addresses() if ":" not in one), "")
beyond = pytest.mark.skipif(not OURS, reason="this machine has no IPv4 address besides loopback")


def settings(made: Certificate, **more: Any) -> HttpSettings:
    given = {"tls_certificate": str(made.certificate), "tls_key": str(made.key)}
    return HttpSettings(**{**given, **more})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"tls_certificate": "", "tls_key": ""}, "plain HTTP.*HTTP_TLS_CERTIFICATE.*--plain-http"),
        ({"tls_key": ""}, "belong together"),
        ({"tls_certificate": ""}, "belong together"),
        ({"plain": True}, "say two things"),
        ({"tls_certificate": "/nowhere.pem"}, "HTTP_TLS_CERTIFICATE: there is no file /nowhere.pem"),
        ({"tls_certificate": __file__}, "are no certificate and its key"),
    ],
)
def test_what_would_send_keys_readably_or_have_no_effect_is_refused(
    tmp_path: Path, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(CannotUseTls, match=said):
        tls_beyond_loopback(settings(self_signed(tmp_path, IPV4), **given))


def test_plain_http_beyond_loopback_is_to_be_asked_for() -> None:
    assert tls_beyond_loopback(HttpSettings(plain=True)) is None


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = self_signed(tmp_path / "other", IPV4)
    with pytest.raises(CannotUseTls, match="are no certificate and its key"):
        tls_beyond_loopback(settings(self_signed(tmp_path, IPV4), tls_key=str(other.key)))


def test_a_passphrase_is_asked_of_nobody(tmp_path: Path) -> None:
    with pytest.raises(CannotUseTls, match="are no certificate and its key"):
        tls_beyond_loopback(settings(self_signed(tmp_path, IPV4, passphrase="secret")))


def test_nothing_older_than_tls_1_2_is_spoken(tmp_path: Path) -> None:
    context = tls_beyond_loopback(settings(self_signed(tmp_path, IPV4)))
    assert context is not None
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_a_file_that_vouches_for_nobody_is_said() -> None:
    with pytest.raises(CannotUseTls, match="holds no certificates"):
        trusted_with(__file__)
    with pytest.raises(CannotUseTls, match=r"/nowhere.pem holds no certificates"):
        trusted_with("/nowhere.pem")


@asynccontextmanager
async def opened(made: Certificate) -> AsyncIterator[int]:
    """A server on loopback and beyond, that tells by which scheme it was asked."""
    app = FastAPI()

    @app.get("/scheme")
    async def scheme(request: Request) -> str:
        return request.url.scheme

    server = HttpServer(server_config(app, graceful_seconds=1), tls_beyond_loopback(settings(made)))
    sockets = bound_sockets(IPV4, 0, OURS)
    serving = asyncio.create_task(server.serve(sockets))
    while not server.started or len(server.servers) < 2:
        await asyncio.sleep(0.01)  # it says nothing when it has
    try:
        yield int(sockets[0].getsockname()[1])
    finally:
        server.stop()
        await serving


@beyond
async def test_other_machines_speak_tls_and_this_one_plain_http(tmp_path: Path) -> None:
    made = self_signed(tmp_path, OURS)
    async with opened(made) as port, httpx.AsyncClient(verify=trusted_with(str(made.certificate))) as client:
        assert (await client.get(f"https://{OURS}:{port}/scheme")).json() == "https"
        assert (await client.get(f"http://{IPV4}:{port}/scheme")).json() == "http"
        for wrong in (f"http://{OURS}:{port}", f"https://{IPV4}:{port}"):
            with pytest.raises(httpx.TransportError):
                await client.get(f"{wrong}/scheme")


@beyond
async def test_our_client_asks_who_its_file_vouches_for_and_nobody_else(tmp_path: Path) -> None:
    made = self_signed(tmp_path, OURS)
    async with opened(made) as port:
        url = f"https://{OURS}:{port}"
        async with ServiceClient(url, tls=trusted_with(str(made.certificate))) as client:
            assert await client.ask("GET", "/scheme") == "https"
        async with ServiceClient(url) as client:
            with pytest.raises(ServiceAway, match="its certificate is not trusted here"):
                await client.ask("GET", "/scheme")


@beyond
async def test_who_does_not_end_the_handshake_is_hung_up_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.http_server.HEAD_SECONDS", 0.2)
    async with opened(self_signed(tmp_path, OURS)) as port:
        reader, writer = await asyncio.open_connection(OURS, port)
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        writer.close()
