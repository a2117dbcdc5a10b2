"""OpenAPI's description of a body that a route reads itself, from the class that it is read as."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


def schema_of(kind: type[BaseModel], *, answers: bool = False) -> dict[str, Any]:
    """The JSON schema of a body (of an answer: with every field that it always has), whole in itself."""
    schema = kind.model_json_schema(mode="serialization" if answers else "validation")
    parts = schema.pop("$defs", {})

    def whole(node: Any) -> Any:
        if isinstance(node, list):
            return [whole(one) for one in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return whole(parts[str(node["$ref"]).rpartition("/")[2]])
        return {name: whole(one) for name, one in node.items()}

    made: dict[str, Any] = whole(schema)
    return made
