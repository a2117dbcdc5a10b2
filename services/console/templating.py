"""The pages' markup, with everything escaped that goes into it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from services.console import figures

Render = Callable[..., Markup]


def make_render(clock: Callable[[], datetime]) -> Render:
    """`render("loop.html", …)`: the template's markup. Distances in time are measured from `clock`."""
    environment = Environment(
        loader=PackageLoader("services.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        when=lambda moment: figures.when(moment, clock()),
        percent=figures.percent,
        interval=figures.interval,
        share=figures.share,
        difference=figures.difference,
    )

    def render(name: str, **values: Any) -> Markup:
        return Markup(environment.get_template(name).render(**values))

    return render
