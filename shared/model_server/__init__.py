"""The model server's HTTP API, as vLLM spells it: one server, or several that are asked as one."""

from shared.model_server.answers import Scored, ServerLimits
from shared.model_server.client import ModelServer
from shared.model_server.errors import (
    AdapterNotFound,
    ModelServerDown,
    ModelServerRefused,
    PromptTooLong,
    UnknownModel,
)
from shared.model_server.this_server import Prove, Served

__all__ = [
    "AdapterNotFound",
    "ModelServer",
    "ModelServerDown",
    "ModelServerRefused",
    "PromptTooLong",
    "Prove",
    "Scored",
    "Served",
    "ServerLimits",
    "UnknownModel",
]
