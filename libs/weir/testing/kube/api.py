"""A small blocking client for what tests ask of an API server: JSON in, JSON out, and the lines of a watch."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

AGENT = "weir-test"
MERGE = "application/merge-patch+json"


class ApiError(Exception):
    """The server refused. `status` is HTTP's, `body` its Status object or text."""

    def __init__(self, status: int, body: Any) -> None:
        message = body.get("message", body) if isinstance(body, dict) else body
        super().__init__(f"{status}: {message}")
        self.status = status
        self.body = body


class Api:
    """`path` is everything after the host, e.g. `/api/v1/namespaces/default/pods`; parameters go into the query."""

    def __init__(self, url: str, ca_file: Path, token: str, agent: str = AGENT) -> None:
        self.url = url
        self.token = token
        self._agent = agent
        self._tls = ssl.create_default_context(cafile=str(ca_file))

    def get(self, path: str, **parameters: object) -> Any:
        return self.request("GET", path, parameters=parameters)

    def text(self, path: str) -> str:
        with self._open("GET", path) as answer:
            return answer.read().decode()

    def create(self, path: str, value: Mapping[str, Any]) -> Any:
        return self.request("POST", path, value)

    def patch(self, path: str, value: Mapping[str, Any], content_type: str = MERGE) -> Any:
        return self.request("PATCH", path, value, content_type=content_type)

    def delete(self, path: str, **parameters: object) -> Any:
        return self.request("DELETE", path, parameters=parameters)

    def watch(self, path: str, *, timeout_s: int = 5, **parameters: object) -> Iterator[Any]:
        """Events as they come, until the server ends the watch."""
        query = {"watch": 1, "timeoutSeconds": timeout_s, **parameters}
        with self._open("GET", path, parameters=query, timeout_s=timeout_s + 10) as answer:
            for line in answer:
                yield json.loads(line)

    def request(
        self,
        method: str,
        path: str,
        value: Mapping[str, Any] | None = None,
        *,
        parameters: Mapping[str, object] | None = None,
        content_type: str = "application/json",
    ) -> Any:
        """Raises ApiError for any answer that is not 2xx, OSError where there is none."""
        with self._open(method, path, value, parameters=parameters, content_type=content_type) as answer:
            return json.loads(answer.read() or b"null")

    def _open(
        self,
        method: str,
        path: str,
        value: Mapping[str, Any] | None = None,
        *,
        parameters: Mapping[str, object] | None = None,
        content_type: str = "application/json",
        timeout_s: float = 30,
    ) -> HTTPResponse:
        query = f"?{urllib.parse.urlencode(parameters)}" if parameters else ""
        body = None if value is None else json.dumps(value).encode()
        headers = {"Authorization": f"Bearer {self.token}", "User-Agent": self._agent, "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = content_type
        request = urllib.request.Request(f"{self.url}{path}{query}", body, headers, method=method)
        try:
            answer: HTTPResponse = urllib.request.urlopen(request, timeout=timeout_s, context=self._tls)
        except urllib.error.HTTPError as error:
            raise ApiError(error.code, _decoded(error.read())) from None
        return answer


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")
