"""Which installation a command operates: the one at a URL, else the one that runs over a folder here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from deploy.expected_error import ExpectedError
from shared.http_conventions import HttpSettings

DATA = Path(".tuneloop/up")
ONE_WORD = re.compile(r"[!-~]*")
NAME_ONE = "Say which installation: tuneloop --url URL COMMAND, or set TUNELOOP_URL."


@dataclass(frozen=True)
class Installation:
    url: str
    """Where its service `workloads` answers."""
    console_url: str = ""
    """Empty where it is not known."""
    gateway_url: str = ""
    shown_gateway_url: str = ""
    """By which apps ask it, where that is another address than ours."""
    key: str = field(default="", repr=False)
    """What is sent as the key; empty: none."""
    ca: str = ""
    """A PEM file with certificates that its own is verified by, besides those the system trusts."""
    plain: bool = False
    """Whether the key may go there by plain HTTP though it is another machine."""

    def review_page(self, workload: str) -> str:
        """Where people review, in words."""
        if self.console_url:
            return f"{self.console_url}/review?workload={workload}"
        return "the console's page Review"


def names_a_url(url: str | None, data: Path | None, environment: Mapping[str, str]) -> bool:
    """Whether it is one somewhere, and not what runs over a folder here."""
    return bool(url or (data is None and environment.get("TUNELOOP_URL")))


def installation(url: str | None, data: Path | None, environment: Mapping[str, str]) -> Installation:
    """By --url or --data, else by TUNELOOP_URL, else what runs over the usual folder.

    Raises ExpectedError if both are given, if nothing runs over the folder, or if no laptop can run here.
    """
    if url and data is not None:
        raise ExpectedError("--url and --data name two installations. Give one of them.")
    url = url or (environment.get("TUNELOOP_URL") if data is None else None)
    if url:
        if not url.startswith(("http://", "https://")):
            raise ExpectedError(f"“{url}” is not an address. {NAME_ONE} It begins with http:// or https://.")
        ca = environment.get("TUNELOOP_CA", "")
        return Installation(url.rstrip("/"), key=_key(environment), ca=ca, plain=_plain())
    try:
        from deploy.laptop.running import running  # the image of a service holds no laptop
    except ModuleNotFoundError:
        raise ExpectedError(f"No laptop can run in this image. {NAME_ONE}") from None
    found = running(data or DATA)
    key = found.host_key() or _key(environment)
    return Installation(found.services_url, found.services_url, found.gateway_url, key=key)


def _plain() -> bool:
    """HTTP_PLAIN, as services read it. Raises ExpectedError."""
    try:
        return HttpSettings().plain
    except ValidationError as error:
        found = error.errors()[0]
        raise ExpectedError(f"HTTP_{str(found['loc'][0]).upper()}: {found['msg']}.") from None


def _key(environment: Mapping[str, str]) -> str:
    """Of TUNELOOP_KEY, or what the file of TUNELOOP_KEY_FILE holds. Raises ExpectedError."""
    named, key = "TUNELOOP_KEY", environment.get("TUNELOOP_KEY", "")
    if not key and (file := environment.get("TUNELOOP_KEY_FILE", "")):
        named, key = f"TUNELOOP_KEY_FILE ({file})", _content(file)
    key = key.strip()
    if not ONE_WORD.fullmatch(key):
        raise ExpectedError(f"{named} holds more than a key, which is one word that begins with tl_.")
    return key


def _content(file: str) -> str:
    try:
        return Path(file).read_text("utf-8")
    except OSError as error:
        raise ExpectedError(
            f"TUNELOOP_KEY_FILE names {file}, which cannot be read: {error.strerror}."
        ) from None
    except UnicodeDecodeError:
        raise ExpectedError(f"TUNELOOP_KEY_FILE names {file}, which holds no text.") from None
