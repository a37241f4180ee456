from __future__ import annotations

import msgspec
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from weir.hub.app import PARTS, Hub
from weir.hub.openapi import document
from weir.hub.params import CONDITIONS, PAGING
from weir.hub.routes import ROUTES


def test_the_document_is_valid() -> None:
    made = msgspec.json.decode(msgspec.json.encode(document()))
    validate(made, cls=OpenAPIV31SpecValidator)


def test_every_route_is_described_and_handled() -> None:
    made = document()
    assert set(made["paths"]) == {route.path for route in ROUTES}
    for route in ROUTES:
        part, _, method = route.handler.partition(".")
        assert callable(getattr({"hub": Hub, **PARTS}[part], method))
        operation = made["paths"][route.path][route.method.lower()]
        assert operation["summary"]
        assert ("requestBody" in operation) == (route.body is not None)


def test_the_parameters_are_those_that_are_understood() -> None:
    described = {one["name"] for one in document()["paths"]["/api/v1/entries"]["get"]["parameters"]}
    assert described == {*CONDITIONS, *PAGING, "detail", "fields"}


def test_only_healthz_needs_no_token() -> None:
    assert [route.path for route in ROUTES if route.open] == ["/healthz"]
    assert document()["security"]
