"""The page of the audit log: what was done lately, by whom, and from where."""

from __future__ import annotations

import logging

from nicegui import ui

from services.console.pages.frame import AUDIT, frame, markup, text
from services.console.parts import Parts
from services.console.templating import Render
from shared.service_client import ServiceAway, ServiceRefused

SECONDS = 10.0
SHOWN = 200
log = logging.getLogger(__name__)


class AuditPage:
    def __init__(self, parts: Parts, render: Render) -> None:
        self._parts, self._render = parts, render

    async def build(self) -> None:
        with frame(self._parts, self._render, AUDIT, None):
            text(AUDIT, "h1")
            self._trouble = ui.label("The audit log cannot be read. This page tries again every few seconds.")
            self._trouble.classes("banner").props("role=alert")
            self._table = markup()
        await self._refresh()
        ui.timer(SECONDS, self._refresh)

    async def _refresh(self) -> None:
        try:
            rows = await self._parts.commands.audited(SHOWN)
        except (ServiceAway, ServiceRefused) as trouble:
            log.warning("the Audit page shows old rows: %s", trouble)
            self._trouble.set_visibility(True)
            return
        self._trouble.set_visibility(False)
        self._table.show(self._render("audit.html", rows=rows, most=SHOWN))
