"""Pure: what the Kubernetes API refuses, or cannot be reached for, told to people; and how long to wait then."""

from __future__ import annotations

import random

from weir.errors import ClusterError
from weir.targets.kube.wire import Status

UNREACHED = 0
GONE = 410
NOT_A_WATCH_LIST = (400, 405, 406, 415, 422)
"""How a server that does not know (or does not want) the streaming list answers it."""
BUSY = (GONE, 429, 503, 504)
"""Codes of in-stream errors that say nothing about what the server can do."""


class ApiError(ClusterError):
    """A request was refused (`status`), the stream said ERROR (`in_stream`), or nothing was reached (status 0)."""

    def __init__(
        self,
        message: str,
        *,
        status: int = UNREACHED,
        retry_after: float = 0.0,
        in_stream: bool = False,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.retry_after = retry_after
        """Seconds that the server asks to wait."""
        self.in_stream = in_stream

    @property
    def no_streaming_list(self) -> bool:
        """As the answer to a streaming list: the server cannot do it."""
        return self.status not in BUSY if self.in_stream else self.status in NOT_A_WATCH_LIST


def refusal(status: Status, code: int, what: str, *, retry_after: float = 0.0, in_stream: bool = False) -> ApiError:
    """`what`: the request in words, e.g. `GET /api/v1/pods`; `retry_after`: from the header, if any."""
    asked = float(status.details.retry_after_seconds) if status.details else 0.0
    message = status.message or status.reason or f"the API server answered {code}"
    return ApiError(
        f"{what}: {message}",
        status=status.code or code,
        retry_after=max(retry_after, asked),
        in_stream=in_stream,
        hint=HINTS.get(status.code or code, ""),
    )


HINTS: dict[int, str] = {
    401: "the credentials are expired or not of this cluster: log in again, or look at the service account's token",
    403: "a role of this account lacks the rule that the message names; the chart installs it (`rbac.create`)",
    404: "this API server does not serve that kind",
    429: "the API server is busy and asked to wait",
}


def missing_rule(group: str, kind: str, namespace: str = "") -> str:
    """The RBAC rule that a watch of this kind needs, as a person writes it."""
    where = f"a Role in namespace {namespace}" if namespace else "a ClusterRole"
    return f'{where} needs: apiGroups ["{group}"], resources ["{kind}"], verbs ["list", "watch"]'


def parse_retry_after(header: str) -> float:
    """Seconds; the API server never sends the form with a date."""
    return float(header) if header.isascii() and header.isdigit() and len(header) < 6 else 0.0


class Backoff:
    """Delays that double up to a ceiling; half of each is chance, so that many clients do not come back at once."""

    def __init__(self, chance: random.Random, *, first: float = 0.8, ceiling: float = 30.0) -> None:
        self._chance = chance
        self._first = first
        self._ceiling = ceiling
        self._next = first

    def next(self) -> float:
        delay, self._next = self._next, min(self._next * 2, self._ceiling)
        return delay * self._chance.uniform(0.5, 1.0)

    def reset(self) -> None:
        self._next = self._first
