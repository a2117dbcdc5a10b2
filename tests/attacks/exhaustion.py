"""What one client can use up: memory, time, connections, the disk."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Callable, Iterator
from functools import partial

from tests.attacks.asking import PIECE_BYTES, all_at_once, asked, open_seconds, sent_in_pieces
from tests.attacks.attack import attack
from tests.attacks.target import Target

PIECE = b"a" * PIECE_BYTES
PIECES = 150
MOST_GROWN_BYTES = 48 << 20
"""Of memory, for a request that is to be refused."""
HALF_SECONDS = 20.0
"""A half-sent request must end within so long, with the time that a busy machine takes."""
DRIP_SECONDS = 75.0
"""The same for one that goes on, a byte a second."""
FAILING = 200
COLD = {"temperature": 1e-300}
"""Logits divided by it are infinite."""
MOST_LOGGED_BYTES = 300
"""For a request that fails."""
ASKED = {"gateway": "/v1/completions", "services": "/reviews", "models": "/tokenize"}
JSON = "Host: localhost\r\nContent-Type: application/json\r\n"


@attack
def every_json_route_of_the_services_reads_150_mb(target: Target) -> str:
    """One string of 150 MB, announced, to every route that the OpenAPI document says takes JSON."""
    return _read_by(target, "services", _json_paths(target.services), is_announced=True)


@attack
def every_json_route_of_the_gateway_reads_150_mb(target: Target) -> str:
    """The same at the gateway."""
    return _read_by(target, "gateway", _json_paths(target.gateway), is_announced=True)


@attack
def every_json_route_of_the_model_server_reads_150_mb(target: Target) -> str:
    """The same at the model server."""
    return _read_by(target, "models", _json_paths(target.models), is_announced=True)


@attack
def a_body_of_unknown_length_is_read_for_ever(target: Target) -> str:
    """150 MB in chunks: no header says how many."""
    said = [_read_by(target, door, [path], is_announced=False) for door, path in ASKED.items()]
    return "; ".join(filter(None, said))


@attack
def a_gzip_bomb_is_inflated(target: Target) -> str:
    """A megabyte that inflates to a gigabyte."""
    bomb = gzip.compress(bytes(1 << 30), 9, mtime=0)
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    said = []
    for door, path in (*ASKED.items(), ("services", "/predictions")):
        with target.watched(door) as grown:
            status = asked("POST", target.doors[door] + path, content=bomb, headers=headers).status_code
        if status < 400 or status >= 500 or grown.bytes > MOST_GROWN_BYTES:
            said.append(f"{door}{path} answered {status}, memory grew by {grown.bytes >> 20} MB")
    return "; ".join(said)


@attack
def headers_have_no_end(target: Target) -> str:
    """60 MB of headers in one request."""
    said = []
    for door, url in target.doors.items():
        with target.watched(door) as grown:
            pieces = (b"X-%d: %b\r\n" % (n, PIECE) for n in range(60))
            sent = sent_in_pieces(url, "GET / HTTP/1.1\r\nHost: localhost\r\n", pieces)
        if grown.bytes > 16 << 20:
            said.append(f"{door} took {sent.sent_bytes >> 20} MB, memory grew by {grown.bytes >> 20} MB")
    return "; ".join(said)


@attack
def a_connection_says_nothing(target: Target) -> str:
    """Opened and left alone; some thousands of them use up the file descriptors."""
    return _borne(target, b"", b"", HALF_SECONDS)


@attack
def a_request_line_stops_in_the_middle(target: Target) -> str:
    """Half a request line, and silence."""
    return _borne(target, b"GET / HTT", b"", HALF_SECONDS)


@attack
def headers_come_a_byte_a_second(target: Target) -> str:
    """Slowloris: each second another header, and never the last."""
    return _borne(target, b"GET / HTTP/1.1\r\nHost: localhost\r\n", b"X-A: b\r\n", HALF_SECONDS)


@attack
def a_body_stops_in_the_middle(target: Target) -> str:
    """A thousand bytes announced, one sent."""
    return _borne(target, _half_a_body, b"", HALF_SECONDS)


@attack
def a_body_comes_a_byte_a_second(target: Target) -> str:
    """R-U-Dead-Yet: as slow as is borne, for as long as is borne."""
    return _borne(target, _half_a_body, b" ", DRIP_SECONDS)


@attack
def a_body_that_nobody_reads_comes_a_byte_a_second(target: Target) -> str:
    """The route answers at once and reads no body, so that no limit of its own is at work."""
    return _borne(target, _unread_body, b" ", DRIP_SECONDS)


@attack
def failing_requests_fill_the_disk(target: Target) -> str:
    """Each 500 writes a traceback, and each broken request a line."""
    before = target.log_bytes()
    failing = {
        f"{target.models}/tokenize": {"model": _model(target), "prompt": "\ud800"},
        f"{target.models}/v1/load_lora_adapter": {"lora_name": "a", "lora_path": "\0"},
        f"{target.models}/v1/completions": {"model": _model(target), "prompt": "a", "max_tokens": 1} | COLD,
    }
    for url, body in itertools.islice(itertools.cycle(failing.items()), FAILING):
        content = json.dumps(body).encode()
        asked("POST", url, content=content, headers={"content-type": "application/json"})
    grown = (target.log_bytes() - before) / FAILING
    return f"{grown:.0f} bytes of log for each request" if grown > MOST_LOGGED_BYTES else ""


@attack
def json_is_nested_without_end(target: Target) -> str:
    """100,000 brackets, for whoever reads them recursively."""
    said = []
    for door, url in target.doors.items():
        for path in _json_paths(url):
            headers = {"content-type": "application/json"}
            status = asked("POST", url + path, content=b"[" * 100_000, headers=headers).status_code
            if status < 400 or status >= 500:
                said.append(f"{door}{path} answered {status}")
    return "; ".join(said)


def _json_paths(url: str) -> list[str]:
    document = asked("GET", f"{url}/openapi.json").json()
    return [
        path.replace("{", "").replace("}", "")
        for path, operations in document["paths"].items()
        for operation in operations.values()
        if "application/json" in operation.get("requestBody", {}).get("content", {})
    ]


def _read_by(target: Target, door: str, paths: list[str], *, is_announced: bool) -> str:
    length = len(PIECE) * PIECES + 2
    said = []
    for path in paths:
        kind = f"Content-Length: {length}\r\n" if is_announced else "Transfer-Encoding: chunked\r\n"
        head = f"POST {path} HTTP/1.1\r\n{JSON}{kind}\r\n"
        with target.watched(door) as grown:
            sent = sent_in_pieces(target.doors[door] + path, head, _string(is_announced=is_announced))
        if sent.status not in (0, 408, 413) or grown.bytes > MOST_GROWN_BYTES:
            said.append(
                f"{door}{path} took {sent.sent_bytes >> 20} MB and answered {sent.status}, "
                f"memory grew by {grown.bytes >> 20} MB"
            )
    return "; ".join(said)


def _string(*, is_announced: bool) -> Iterator[bytes]:
    for piece in itertools.chain([b'"'], itertools.repeat(PIECE, PIECES), [b'"']):
        yield piece if is_announced else b"%x\r\n%b\r\n" % (len(piece), piece)
    if not is_announced:
        yield b"0\r\n\r\n"


def _half_a_body(door: str) -> bytes:
    head = f"POST {ASKED[door]} HTTP/1.1\r\n{JSON}Content-Length: 1000\r\n\r\n{{"
    return head.encode()


def _unread_body(door: str) -> bytes:
    return b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{"


def _model(target: Target) -> str:
    return str(asked("GET", f"{target.models}/v1/models").json()["data"][0]["id"])


def _borne(target: Target, first: bytes | Callable[[str], bytes], then: bytes, most_seconds: float) -> str:
    """At all doors at once."""
    begins = {door: first(door) if callable(first) else first for door in target.doors}
    works = [
        partial(open_seconds, url, begins[door], then, most_seconds=most_seconds + 10)
        for door, url in target.doors.items()
    ]
    borne = dict(zip(target.doors, all_at_once(*works), strict=True))
    return "; ".join(
        f"{door} bears it for {took:.0f} s or more" for door, took in borne.items() if took > most_seconds
    )
