"""The OpenAPI 3.1 document, made from `routes`. Pure."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

import msgspec

from weir.hub.answers import ErrorAnswer
from weir.hub.params import MAX_VALUES
from weir.hub.routes import ROUTES, Param, Route

_REFUSALS = {
    "400": "A parameter is wrong",
    "401": "The token is missing or wrong",
    "503": "The archive is away, or too much is asked at once",
}


def document() -> dict[str, Any]:
    types = [kind for route in ROUTES for kind in (route.answer, route.body) if kind is not None]
    answers, components = msgspec.json.schema_components(
        [*types, ErrorAnswer], ref_template="#/components/schemas/{name}"
    )
    schemas = dict(zip(map(id, types), answers, strict=False))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "weir hub",
            "version": program_version(),
            "description": "Kubernetes traffic, decoded. Every answer but /healthz needs the token: as a bearer, or "
            "as the cookie that opening `/?token=…` sets.",
        },
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "weir-PORT",
                           "description": "PORT is the port of the hub"},
            },
        },
        "security": [{"token": []}, {"cookie": []}],
        "paths": _paths(schemas),
    }


def _paths(schemas: dict[int, dict[str, Any]]) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for route in ROUTES:
        operation = _operation(route, schemas.get(id(route.answer)))
        if route.body is not None:
            content = {"application/json": {"schema": schemas[id(route.body)]}}
            operation["requestBody"] = {"required": True, "content": content}
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    return paths


def _operation(route: Route, schema: dict[str, Any] | None) -> dict[str, Any]:
    lines = route.doc.split("\n", 1)
    operation: dict[str, Any] = {
        "operationId": route.handler.partition(".")[2],
        "summary": lines[0].rstrip("."),
        "responses": {str(route.status): _success(route, schema)} | _failures(route),
    }
    if len(lines) > 1:
        operation["description"] = lines[1].strip()
    if route.params:
        operation["parameters"] = [_parameter(param) for param in route.params]
    if route.open:
        operation["security"] = []
    return operation


def _success(route: Route, schema: dict[str, Any] | None) -> dict[str, Any]:
    if not route.media:
        return {"description": "The WebSocket is open"}
    content = {media: {"schema": schema or {"type": "string"}} for media in route.media.split()}
    return {"description": "The answer", "content": content}


def _failures(route: Route) -> dict[str, Any]:
    if route.open:
        return {}
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}}
    failures = _REFUSALS | ({"404": "There is none"} if route.not_found else {})
    if route.read_only:
        failures |= {"409": "It comes from the settings, a file or Helm, and is changed only there"}
    return {status: {"description": text, "content": content} for status, text in failures.items()}


def _parameter(param: Param) -> dict[str, Any]:
    made: dict[str, Any] = {"name": param.name, "in": param.where, "description": param.doc, "schema": param.schema}
    if param.where == "path":
        made["required"] = True
    if param.many:
        several = {"type": "array", "items": param.schema, "maxItems": MAX_VALUES}
        made |= {"schema": several, "style": "form", "explode": True}
    return made


def program_version() -> str:
    try:
        return version("weir")
    except PackageNotFoundError:
        return "0"
