"""TLS at our own doors: the certificate that is served, who vouches for it, and no keys without it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from shared.http_conventions import HttpSettings
from shared.loopback import is_this_machine


class CannotUseTls(Exception):
    """Waiting does not help. The message says what to set."""


def tls_beyond_loopback(settings: HttpSettings) -> ssl.SSLContext | None:
    """What a process that other machines reach speaks; None: plain HTTP, which was asked for.

    Raises CannotUseTls where keys would be sent readably and nobody asked for that, and where a setting would
    have no effect.
    """
    for complaint in _complaints(settings):
        raise CannotUseTls(f"{complaint}.")
    if settings.plain:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(settings.tls_certificate, settings.tls_key, password=_no_passphrase)
    except OSError as error:  # ssl.SSLError is one
        raise CannotUseTls(
            f"HTTP_TLS_CERTIFICATE and HTTP_TLS_KEY ({settings.tls_certificate}, {settings.tls_key}) are no "
            f"certificate and its key: {error.strerror or error}."
        ) from None
    return context


def trusted_with(ca: str) -> ssl.SSLContext:
    """For who asks by TLS: trusts whom this machine trusts, and whom the PEM file `ca` names, if any.

    Raises CannotUseTls.
    """
    context = ssl.create_default_context()
    if ca:
        try:
            context.load_verify_locations(ca)
        except OSError as error:
            raise CannotUseTls(f"{ca} holds no certificates: {error.strerror or error}.") from None
    return context


def refuse_readable_key(url: str, *, plain: bool, has_tls: bool = False) -> None:
    """Raises CannotUseTls where a key would go to another machine readably. `plain`: as HTTP_PLAIN says.

    `has_tls`: whether who asks has a certificate of its own, which HTTP_PLAIN would contradict.
    """
    if plain or urlsplit(url).scheme == "https" or is_this_machine(url):
        return
    way_out = (
        "and in SERVICES_CA a file with who vouches for its certificate"
        if has_tls
        else "or set HTTP_PLAIN=true where only a network of your own lies between"
    )
    raise CannotUseTls(
        f"{url} is on another machine and is asked by plain HTTP: whoever reads along would have the key. "
        f"Name it by https://, {way_out}."
    )


def _complaints(settings: HttpSettings) -> Iterator[str]:
    if not settings.has_tls and not settings.plain:
        yield (
            "Other machines would reach this one by plain HTTP, and whoever reads along would have every key "
            "that is sent. Set HTTP_TLS_CERTIFICATE and HTTP_TLS_KEY, or HTTP_PLAIN=true (tuneloop up "
            "--plain-http) behind a proxy that speaks TLS"
        )
    if settings.has_tls and settings.plain:
        yield "HTTP_PLAIN=true and HTTP_TLS_CERTIFICATE or HTTP_TLS_KEY say two things: unset one of them"
    if bool(settings.tls_certificate) != bool(settings.tls_key):
        yield "HTTP_TLS_CERTIFICATE and HTTP_TLS_KEY belong together, and one of them is not set"
    for name in ("tls_certificate", "tls_key"):
        file = getattr(settings, name)
        if file and not Path(file).is_file():
            yield f"HTTP_{name.upper()}: there is no file {file}"


def _no_passphrase() -> str:
    """Else OpenSSL asks for one on the terminal."""
    return ""
