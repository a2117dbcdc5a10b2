"""uvicorn's HTTP protocol with an end to its patience; `HttpServer` looks after it once a second."""

from __future__ import annotations

import asyncio
from typing import cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from shared.http_doors.slow_requests import MOST_HEAD_BYTES, UNREAD_SECONDS, Part, is_too_slow


class PatientProtocol(HttpToolsProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast("asyncio.Transport", transport))
        self._unread_since: float | None = None
        self._await_head()

    def _await_head(self) -> None:
        self._awaited, self._since = Part.HEAD, self.loop.time()
        self._head_bytes = self._body_bytes = 0

    def data_received(self, data: bytes) -> None:
        if self._awaited is Part.NOTHING and self.cycle.response_complete:
            self._await_head()  # empty lines before a request are no request, and end uvicorn's own timer
        super().data_received(data)
        if self._awaited is Part.HEAD:
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES:
                self._end(431)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        self._awaited = Part.BODY
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._awaited = Part.NOTHING
        super().on_message_complete()

    def pause_writing(self) -> None:
        self._unread_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._unread_since = None
        super().resume_writing()

    def look(self, now: float) -> None:
        """Ends the connection if the client is too slow; `now` is the event loop's time."""
        if self._unread_since is not None and now - self._unread_since > UNREAD_SECONDS:
            self.transport.abort()
        elif not self.flow.read_paused and is_too_slow(self._awaited, now - self._since, self._body_bytes):
            self._end(408)  # read_paused: it is us who do not read

    def _end(self, status: int) -> None:
        """With an answer, if none has begun. Who reads nothing is not waited for."""
        if self.transport.is_closing():
            return
        if self.transport.get_write_buffer_size():
            self.transport.abort()
            return
        if self._awaited is Part.HEAD or not self.cycle.response_started:
            if self.cycle is not None and self._awaited is Part.BODY:
                self.cycle.disconnected = True  # what still answers is not heard any more
            self.transport.write(STATUS_LINE[status] + b"content-length: 0\r\nconnection: close\r\n\r\n")
        self.transport.close()
