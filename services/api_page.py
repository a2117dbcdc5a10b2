"""/docs: what the OpenAPI document tells, as a page for people, which runs no script and loads nothing."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterator, Mapping
from typing import Any

from shared.http_doors.headers import NOTHING

STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code { font-size: .93em; } h2 { margin-top: 2.2rem; font-size: 1.05rem; } p { white-space: pre-line; }
table { border-collapse: collapse; }
td, th { text-align: left; vertical-align: top; padding: .2rem 1rem .2rem 0; }
"""
DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = f"{NOTHING.decode()}; style-src 'sha256-{DIGEST}'"
Node = Mapping[str, Any]


def page_of(document: Node) -> str:
    """Everything in it is text: what looks like markup is shown as it is written."""
    paths = "".join(
        _operation(method, path, operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    )
    schemas = document.get("components", {}).get("schemas", {})
    shapes = "".join(_shape(name, schema) for name, schema in schemas.items())
    title = html.escape(f"{document['info']['title']} {document['info']['version']}")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<style>{STYLE}</style></head><body><h1>{title}</h1><p>For programs: <a href="/openapi.json">'
        f"/openapi.json</a> (OpenAPI {html.escape(document['openapi'])}).</p>{paths}{shapes}</body></html>"
    )


def _operation(method: str, path: str, operation: Node) -> str:
    said = html.escape(operation.get("description", operation.get("summary", "")))
    rows = [
        (
            one["name"],
            one["in"],
            _type(one.get("schema", {})),
            one.get("required", False),
            one.get("description", ""),
        )
        for one in operation.get("parameters", ())
    ]
    bodies = [("request", operation.get("requestBody", {}))]
    bodies += sorted(operation.get("responses", {}).items())
    lines = [
        f"<li>{html.escape(what)}: {html.escape(kind)} {_type(content.get('schema', {}))}</li>"
        for what, body in bodies
        for kind, content in body.get("content", {}).items()
    ]
    heading = f"<code>{method.upper()} {html.escape(path)}</code>"
    return f"<h2>{heading}</h2><p>{said}</p>{_table(rows)}<ul>{''.join(lines)}</ul>"


def _shape(name: str, schema: Node) -> str:
    required = schema.get("required", ())
    rows = [
        (field, "", _type(one), field in required, one.get("description", ""))
        for field, one in schema.get("properties", {}).items()
    ]
    said = html.escape(schema.get("description", ""))
    return f'<h2 id="{html.escape(name)}"><code>{html.escape(name)}</code></h2><p>{said}</p>{_table(rows)}'


def _table(rows: list[tuple[str, str, str, bool, str]]) -> str:
    cells = "".join(
        f"<tr><th><code>{html.escape(name)}</code></th><td>{html.escape(place)}</td><td>{kind}</td>"
        f"<td>{'required' if required else ''}</td><td>{html.escape(said)}</td></tr>"
        for name, place, kind, required, said in rows
    )
    return f"<table>{cells}</table>" if cells else ""


def _type(schema: Node) -> str:
    """In words, with a link to each shape that is named."""
    return " or ".join(dict.fromkeys(_types(schema)))


def _types(schema: Node) -> Iterator[str]:
    if reference := schema.get("$ref"):
        name = html.escape(reference.rpartition("/")[2])
        yield f'<a href="#{name}">{name}</a>'
    for one in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        yield from _types(one)
    if "enum" in schema:
        yield html.escape(", ".join(map(str, schema["enum"])))
    elif schema.get("type") == "array":
        yield f"list of {_type(schema.get('items', {})) or 'anything'}"
    elif "type" in schema:
        yield html.escape(str(schema["type"]))
