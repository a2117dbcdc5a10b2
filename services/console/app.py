"""The console, put together: it consumes everything, owns no table and publishes nothing."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, FastAPI

from services.console.commands import Commands
from services.console.event_sentences import PLENTY
from services.console.feed import Feed
from services.console.handlers import Handlers
from services.console.oidc import Provider
from services.console.parts import Parts
from services.console.review_client import ReviewClient
from services.console.settings import CannotUseOidc, Settings
from services.console.sign_in import SignIn, oidc_routes, sign_in_routes
from services.console.store import ConsoleStore
from services.console.templating import make_render
from shared.consumer import Handler, Sample
from shared.events import ModelPromoted, ModelRolledBack, WorkloadAdded
from shared.events.envelope import Event
from shared.flow import FLOW
from shared.http_conventions import HttpSettings
from shared.http_tls import refuse_readable_key, trusted_with
from shared.projections import Champions, Workloads
from shared.service import Service, ServiceContext
from shared.service_client import ServiceClient


def build(context: ServiceContext) -> Service:
    settings = Settings()
    if complaint := settings.oidc_complaint(context.addresses.subject_key):
        raise CannotUseOidc(f"{complaint}.")
    feed, known, champions = Feed(), Workloads(), Champions()
    handlers = Handlers(feed, known, champions)
    http = HttpSettings()
    tls, plain = trusted_with(settings.services_ca), http.plain
    for url in (settings.human_review_url, settings.workloads_url):
        # Whoever reads the page is asked for by their session.
        refuse_readable_key(url, plain=plain, has_tls=http.has_tls)
    human_review = ServiceClient(settings.human_review_url, tls=tls, plain=plain)
    workloads = ServiceClient(settings.workloads_url, tls=tls, plain=plain)
    parts = Parts(
        known,
        champions,
        feed,
        ConsoleStore(context.clickhouse),
        ReviewClient(human_review),
        Commands(workloads),
        context.clock,
    )

    def mount(app: FastAPI) -> None:
        from services.console.pages.mounting import mount_pages  # the door: NiceGUI comes in here

        mount_pages(app, parts, context.admission.name_in)

    async def close_at_the_end() -> None:
        async with human_review, workloads:
            await asyncio.get_running_loop().create_future()

    return Service(
        name="console",
        routers=_sign_in(context, settings),
        consumes=_wiring(handlers),
        consumes_from_now=True,
        mount=mount,
        background=[close_at_the_end],
    )


def _sign_in(context: ServiceContext, settings: Settings) -> list[APIRouter]:
    parts = SignIn(context.admission, settings, context.addresses.subject_key, make_render(context.clock))
    routers = [sign_in_routes(parts)]
    if settings.oidc_issuer:
        routers.append(oidc_routes(parts, Provider(settings)))
    return routers


def _wiring(handlers: Handlers) -> dict[type[Event], Handler | Sample]:
    wiring: dict[type[Event], Handler | Sample] = {
        kind: Sample(handlers.on_sample) if kind.topic.name in PLENTY else handlers.on_event
        for kind in FLOW["console"].consumes
    }
    wiring[WorkloadAdded] = handlers.on_workload_added
    wiring[ModelPromoted] = wiring[ModelRolledBack] = handlers.on_champion_changed
    return wiring
