"""Tables in `docs/` that are made from the code: who produces what, every setting, and a training's."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterable, Iterator
from importlib.util import find_spec

from pydantic import BaseModel
from pydantic_settings import BaseSettings

from services.retraining.tracking.settings import TrackingSettings
from shared.access.limit_settings import LimitSettings
from shared.addresses import Addresses
from shared.consumer.settings import ConsumerSettings
from shared.events.envelope import Event
from shared.flow import APPS, FLOW
from shared.http_conventions import HttpSettings
from shared.job_launcher.choice import LauncherSettings
from shared.job_launcher.manifest import KubernetesSettings
from shared.kafka import KafkaSecurity
from shared.training.defaults import plan
from shared.training.device import Device
from shared.training.plan import TrainingPlan
from shared.training.section import Training


def flow_table() -> str:
    """`shared/flow.py` as a table; state events in italics."""
    rows = ["| service | consumes | produces | reads | owns |", "|---|---|---|---|---|"]
    rows.append(f"| apps outside | – | {_names(APPS)} | – | nothing |")
    for name, part in FLOW.items():
        consumes = "every event" if len(part.consumes) > 12 else _names(part.consumes)
        reads = ", ".join(f"`{view}`" for view in sorted(part.reads)) or "–"
        rows.append(f"| `{name}` | {consumes} | {_names(part.produces)} | {reads} | {part.owns} |")
    return "\n".join([*rows, ""])


def settings_table() -> str:
    """Every environment variable that a service reads, its default, and what the code says of it."""
    rows = ["| variable | default | |", "|---|---|---|"]
    for settings in settings_classes():
        sentences = dict(_sentences(settings))
        prefix = settings.model_config.get("env_prefix", "")
        for name, field in settings.model_fields.items():
            variable = f"{prefix}{name}".upper()
            rows.append(f"| `{variable}` | {_default(field.default)} | {sentences.get(name, '')} |")
    return "\n".join([*rows, ""])


def training_table() -> str:
    """The `training` section: each setting, what it is, and what is decided where nobody says it."""
    laptop = plan(Training(), 400, 10, 200, 135_000_000, Device(), 8192)
    gpu = plan(Training(), 20_000, 150, 400, 8_000_000_000, Device(kind="cuda", dtype="bfloat16"), 8192)
    rows = [
        "| setting | | 400 rows, 135M, CPU | 20,000 rows, 8B, GPU |",
        "|---|---|---|---|",
    ]
    sentences = dict(_sentences(Training))
    for name in Training.model_fields:
        decided = " | ".join(_decided(one, name) for one in (laptop, gpu))
        rows.append(f"| `{name}` | {sentences.get(name, '')} | {decided} |")
    return "\n".join([*rows, ""])


def _decided(planned: TrainingPlan, name: str) -> str:
    if name == "validation_share":
        return f"{planned.validation_rows} rows"
    value = getattr(planned, name, None)
    if value in (None, ()):
        return "–"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def settings_classes() -> list[type[BaseSettings]]:
    """What every service reads, how jobs are launched, then each service's own settings."""
    modules = [f"services.{name}.settings" for name in FLOW]
    own = [importlib.import_module(module).Settings for module in modules if find_spec(module)]
    everybody = [Addresses, KafkaSecurity, ConsumerSettings, HttpSettings, LimitSettings]
    return [*everybody, LauncherSettings, KubernetesSettings, *own, TrackingSettings]


def _names(kinds: Iterable[type[Event]]) -> str:
    ordered = sorted(kinds, key=lambda kind: (not kind.is_state, kind.__name__))
    return ", ".join(f"*{kind.__name__}*" if kind.is_state else kind.__name__ for kind in ordered) or "–"


def _default(value: object) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if str(value) else "–"


def _sentences(settings: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """Each field with the string that follows it in the class."""
    (made,) = ast.parse(inspect.getsource(settings)).body
    assert isinstance(made, ast.ClassDef)
    for field, said in zip(made.body, made.body[1:], strict=False):
        match field, said:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(sentence))):
                yield name, " ".join(sentence.split())
