"""Whether a ClickHouse takes queries from this user."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from urllib.parse import unquote, urlsplit

from deploy.laptop.clickhouse.configuration import basic_login

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # whatever http_proxy says


def takes_queries(url: str) -> bool:
    """Logs in at `http://user:password@host:port/…`: an answering port alone may be somebody else's."""
    parts = urlsplit(url)
    login = basic_login(unquote(parts.username or "default"), unquote(parts.password or ""))
    server = f"{parts.scheme}://{parts.hostname}:{parts.port}/"
    try:
        with _DIRECT.open(
            urllib.request.Request(server, b"SELECT 1", {"Authorization": login}), timeout=5
        ) as answer:
            return bool(answer.read() == b"1\n")
    except (urllib.error.URLError, OSError, http.client.HTTPException):
        return False
