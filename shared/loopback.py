"""This machine's own addresses, which no proxy is asked for."""

from __future__ import annotations

from collections.abc import Mapping

HOSTS = ("127.0.0.1", "localhost", "::1")


def no_proxy_for_loopback(environment: Mapping[str, str]) -> dict[str, str]:
    """What to set besides `environment`, so that http_proxy and its like leave this machine's servers alone.

    Both spellings, because libraries differ in which they read first, and each keeps what it said.
    """
    small, capital = environment.get("no_proxy", ""), environment.get("NO_PROXY", "")
    return {"no_proxy": _with_loopback(small or capital), "NO_PROXY": _with_loopback(capital or small)}


def _with_loopback(hosts: str) -> str:
    named = [host.strip() for host in hosts.split(",") if host.strip()]
    if "*" in named:
        return "*"  # everything already; some libraries know it only when it stands alone
    return ",".join(named + [host for host in HOSTS if host not in named])
