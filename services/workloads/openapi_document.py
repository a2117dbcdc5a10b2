"""What the OpenAPI document says of the bodies that a workload is sent in, which the service reads itself."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.fields import Text


class Row(BaseModel):
    text: Text
    label: str
    split: Literal["train", "golden", "held_out"] | None = None


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    definition: dict[str, Any] = Field(
        description="As the TOML file has it: name, title, labels, prompt and the rest."
    )
    rows: list[Row] | None = Field(None, description="Or rows_uri. Neither: those of the revision before.")
    rows_uri: str | None = Field(None, description="A CSV or JSON Lines file below FILES_URI.")


def _schema_of(kind: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of a body, whole in itself."""
    schema = kind.model_json_schema()
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


_FILE = {"type": "string", "contentMediaType": "application/octet-stream"}
_FILES = {
    "type": "object",
    "properties": {
        "definition": {**_FILE, "description": "The TOML file."},
        "rows": {**_FILE, "description": "A CSV or JSON Lines file."},
    },
    "required": ["definition"],
}
SUBMISSION: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": _schema_of(Body)},
            "multipart/form-data": {"schema": _FILES},
        },
    }
}
