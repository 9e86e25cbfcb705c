"""`/api/docs`: the OpenAPI document as a page of our own: no script, nothing from elsewhere."""

from __future__ import annotations

from html import escape
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from gapless.server.access import Viewer
from gapless.server.shapes import answer

router = APIRouter(include_in_schema=False)


@router.get("/api/openapi.json")
def document(request: Request, caller: Viewer) -> Response:  # noqa: ARG001
    """The document itself."""
    return answer(request.app.openapi())


@router.get("/api/docs")
def page(request: Request, caller: Viewer) -> HTMLResponse:  # noqa: ARG001
    """Every route with its parameters, body and answers."""
    document = request.app.openapi()
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>gapless API</title>",
        "<meta name=viewport content='width=device-width'>",
        f"<h1>{escape(document['info']['title'])} API {escape(document['info']['version'])}</h1>",
        f"<p>{escape(document['info']['description'])} <a href=/api/openapi.json>openapi.json</a></p>",
    ]
    for path, ways in document["paths"].items():
        for method, one in ways.items():
            parts.append(_route(method, path, one))
    parts.append("<h2>Bodies</h2>")
    parts += [_schema(name, one) for name, one in document["components"]["schemas"].items()]
    return HTMLResponse("\n".join(parts))


def _route(method: str, path: str, one: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(its['name'])}</code><td>{escape(its['in'])}<td>{escape(_type(its['schema']))}"
        for its in one.get("parameters", [])
    )
    body = one.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    answers = ", ".join(
        f"{code} {escape(its['description'].splitlines()[0])}" for code, its in one.get("responses", {}).items()
    )
    return (
        f"<section><h2><code>{method.upper()} {escape(path)}</code></h2><p><b>{escape(one.get('summary', ''))}.</b>"
        f" {escape(one.get('description', ''))}</p>"
        + (f"<p>Body: {_link(body)}</p>" if body else "")
        + (f"<table>{rows}</table>" if rows else "")
        + f"<p>Answers: {answers}</p></section>"
    )


def _schema(name: str, one: dict[str, Any]) -> str:
    needed = one.get("required", [])
    rows = "".join(
        f"<tr><td><code>{escape(key)}</code><td>{escape(_type(its))}<td>{'required' if key in needed else ''}"
        for key, its in one.get("properties", {}).items()
    )
    about = escape(one.get("description", ""))
    return f"<section id={escape(name)}><h3>{escape(name)}</h3><p>{about}</p><table>{rows}</table></section>"


def _link(schema: dict[str, Any]) -> str:
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    return f"<a href=#{escape(name)}>{escape(name)}</a>" if name else escape(_type(schema))


def _type(schema: dict[str, Any]) -> str:
    """A schema in a few words."""
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    kind = str(schema.get("type", "anything"))
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    bounds = [f"{sign} {schema[key]}" for key, sign in (("minimum", "≥"), ("maximum", "≤")) if key in schema]
    said = f", default {schema['default']!r}" if schema.get("default") not in (None, "") else ""
    return " ".join([kind, *bounds]) + said
