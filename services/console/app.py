"""The console, put together: it hears everything, owns no table, and says only what people decided."""

from __future__ import annotations

from fastapi import FastAPI

from services.console.api import routes
from services.console.desk import Desk
from services.console.feed import PLENTY, Feed
from services.console.handlers import Handlers
from services.console.store import ConsoleStore
from shared.events import EVENTS, ModelPromoted, ModelRolledBack, WorkloadAdded
from shared.events.envelope import Event
from shared.hearing import Batch, Handler
from shared.service import Service, Surroundings
from shared.standing import Champions, Workloads


def build(around: Surroundings) -> Service:
    feed, workloads, champions = Feed(), Workloads(), Champions()
    handlers = Handlers(feed, workloads, champions)
    desk = Desk(workloads, champions, feed, ConsoleStore(around.tables), around.say, around.clock)

    def mount(app: FastAPI) -> None:
        from services.console.pages.mounting import mount_pages  # the door: NiceGUI comes in here

        mount_pages(app, desk)

    return Service(
        name="console",
        hears=_wiring(handlers),
        hears_from_now=True,
        routers=(routes(desk),),
        mount=mount,
    )


def _wiring(handlers: Handlers) -> dict[type[Event], Handler | Batch]:
    wiring: dict[type[Event], Handler | Batch] = {
        kind: Batch(handlers.on_many) if kind.topic.name in PLENTY else handlers.on_event for kind in EVENTS
    }
    wiring[WorkloadAdded] = handlers.on_workload_added
    wiring[ModelPromoted] = wiring[ModelRolledBack] = handlers.on_champion_changed
    return wiring
