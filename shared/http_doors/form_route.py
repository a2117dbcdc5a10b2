"""As json_route.py has it, for the few routes that a plain HTML form is sent to."""

from __future__ import annotations

from typing import ClassVar

from shared.http_doors.json_route import JsonRoute


class FormRoute(JsonRoute):
    """As a router's `route_class`."""

    most_bytes: ClassVar[int] = 1 << 14
    content_type: ClassVar[str] = "application/x-www-form-urlencoded"

    @staticmethod
    def takes(content_type: str) -> bool:
        return content_type.partition(";")[0].strip().lower() == FormRoute.content_type
