"""An API server of Kubernetes in a few hundred lines, that does what a test tells it: on loopback, over plain HTTP.

Serves lists (in pages), watches, streaming lists, bookmarks and Leases with the answers, codes and bodies of a real one
(1.36), and on request what servers do on bad days: 401, 403, 410 as status and in the stream, 429 and 5xx with
Retry-After, streams that end, break or fall silent, a server that goes away and comes back with or without its history.
Objects are JSON as the API writes it; whole recordings of a real server can be put in (`replay`).
"""

from __future__ import annotations

import asyncio
import copy
import json
import math
import re
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from aiohttp import web

Json = dict[str, Any]
INITIAL_END = {"k8s.io/initial-events-end": "true"}
MICRO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
END, ABORT = object(), object()
REASONS = {
    400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict", 410: "Expired",
    422: "Invalid", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable",
}  # fmt: skip


class SteppedClock:
    """A clock that moves when it is told to, and by every sleep shorter than `hold`, which is over at once.

    So delays pass in no time, and alarms (longer sleeps) go off when the test says so, however slow the machine is.
    """

    def __init__(self, hold: float = 90.0, began_ns: int = 1_800_000_000_000_000_000) -> None:
        self._hold = hold
        self._began_ns = began_ns
        self._now = 0.0
        self._sleepers: dict[asyncio.Future[None], float] = {}
        self.slept: list[float] = []
        """Every delay that was asked for, in order."""

    def now_ns(self) -> int:
        return self._began_ns + int(self._now * 1e9)

    def monotonic(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if seconds < self._hold:
            self.advance(seconds)
            await asyncio.sleep(0)
            return
        sleeper = asyncio.get_running_loop().create_future()
        self._sleepers[sleeper] = self._now + seconds
        try:
            await sleeper
        finally:
            del self._sleepers[sleeper]

    def advance(self, seconds: float) -> None:
        self._now += seconds
        for sleeper, due in self._sleepers.items():
            if due <= self._now and not sleeper.done():
                sleeper.set_result(None)

    def alarm(self) -> float:
        """Seconds until the next alarm; infinite without one."""
        return min((due - self._now for sleeper, due in self._sleepers.items() if not sleeper.done()), default=math.inf)


@dataclass
class Asked:
    """One request, as an audit log has it."""

    verb: str
    """list, watch, get, create or update."""
    kind: str
    namespace: str
    query: dict[str, str]
    agent: str
    token: str
    code: int = 0
    """0 while it is not answered."""


@dataclass
class Refusal:
    kind: str
    verb: str
    code: int
    times: int
    retry_after: int
    when: Callable[[Asked], bool]


@dataclass
class Collection:
    objects: dict[str, Json] = field(default_factory=dict)
    history: list[tuple[int, str, Json]] = field(default_factory=list)
    oldest: int = 0
    """A watch from before this is too old."""


@dataclass
class Watcher:
    kind: str
    namespace: str
    request: web.Request
    queue: asyncio.Queue[Any] = field(default_factory=asyncio.Queue)


class FakeKube:
    """Use as an async context manager. Kinds are plurals: pods, services, endpointslices, nodes, namespaces, leases."""

    def __init__(self, *, token: str = "good") -> None:
        self.tokens = {token}
        """Which are accepted; tests rotate them."""
        self.asked: list[Asked] = []
        self.streaming_list: str = "yes"
        """`yes`; `no`: refused with 422 (the feature is off); `broken`: 200 and an ERROR in the stream (an old etcd);
        `unknown`: taken for a watch without a start, whose end of the initial events is never told."""
        self.gone_as_status = False
        """A watch that is too old is refused with 410 instead of an ERROR in the stream."""
        self.silent = False
        """Streams are open, and say nothing until this is over."""
        self._version = 1000
        self._kinds: dict[str, Collection] = {}
        self._watchers: list[Watcher] = []
        self._refusals: list[Refusal] = []
        self._tokens_of_pages: dict[str, tuple[list[Json], int]] = {}
        self._runner: web.AppRunner | None = None
        self._port = 0

    # The server

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; after `stop` at the same port."""
        app = web.Application()
        for root in ("/api/{v:v1}", "/apis/{group}/{v:v1}"):
            for space in ("", "/namespaces/{namespace}"):
                app.router.add_route("*", f"{root}{space}/{{kind}}", self._collection)
            app.router.add_route("*", f"{root}/namespaces/{{namespace}}/{{kind}}/{{name}}", self._single)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]

    async def stop(self, *, forget: bool = False) -> None:
        """Go away as a killed server does. `forget`: what it remembers begins anew, old versions are too old then."""
        self.abort()
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()
        if forget:
            self.forget()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def kubeconfig(self, folder: Path, token: str = "good") -> Path:
        path = folder / "kubeconfig"
        path.write_text(
            json.dumps({
                "apiVersion": "v1", "kind": "Config", "current-context": "fake",
                "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
                "users": [{"name": "me", "user": {"token": token}}],
                "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "me", "namespace": "weir"}}],
            })
        )  # fmt: skip
        return path

    # The cluster

    def put(self, kind: str, item: Json) -> Json:
        """Create or replace; the server fills uid and version."""
        item = copy.deepcopy(item)
        collection = self._kind(kind)
        meta = item.setdefault("metadata", {})
        key = _key(item)
        before = collection.objects.get(key)
        meta.setdefault("uid", before["metadata"]["uid"] if before else str(uuid.uuid4()))
        self._record(kind, "MODIFIED" if before else "ADDED", item)
        collection.objects[key] = item
        return item

    def delete(self, kind: str, name: str, namespace: str = "") -> None:
        item = copy.deepcopy(self._kind(kind).objects.pop(f"{namespace}/{name}"))
        self._record(kind, "DELETED", item)

    def replay(self, kind: str, items: Iterable[Json]) -> None:
        """Put what a real server wrote."""
        for item in items:
            self.put(kind, item)

    def count(self, kind: str) -> int:
        return len(self._kind(kind).objects)

    # Bad days

    def refuse(
        self, code: int, kind: str = "", verb: str = "", *, times: int = 1, retry_after: int = 0,
        when: Callable[[Asked], bool] = lambda asked: True,
    ) -> None:  # fmt: skip
        """The next `times` requests of this kind and verb (empty: any) are refused."""
        self._refusals.append(Refusal(kind, verb, code, times, retry_after, when))

    def permit(self) -> None:
        self._refusals.clear()

    def forget(self) -> None:
        """All versions up to now are too old, as after a restart of the server or a compaction of etcd."""
        for collection in self._kinds.values():
            collection.history.clear()
            collection.oldest = self._version
        self._tokens_of_pages.clear()
        self._version += 10

    def error(self, code: int, kind: str = "") -> None:
        """An ERROR in every open stream, and its end."""
        self._each(kind, {"type": "ERROR", "object": status(code, "told by the test")}, END)

    def bookmark(self, kind: str = "") -> None:
        self._each(kind, self._bookmark({}))

    def line(self, text: str, kind: str = "") -> None:
        """Anything at all in every open stream."""
        self._each(kind, text)

    def end(self, kind: str = "") -> None:
        """Streams end in order."""
        self._each(kind, END)

    def abort(self, kind: str = "") -> None:
        """Streams break."""
        self._each(kind, ABORT)

    def watching(self, kind: str = "") -> int:
        """Streams that are open."""
        return sum(
            kind in ("", watcher.kind) and transport is not None and not transport.is_closing()
            for watcher in self._watchers
            for transport in [watcher.request.transport]
        )

    def requests(self, verb: str = "", kind: str = "") -> list[Asked]:
        return [a for a in self.asked if verb in ("", a.verb) and kind in ("", a.kind)]

    # Inside

    def _kind(self, kind: str) -> Collection:
        return self._kinds.setdefault(kind, Collection())

    def _record(self, kind: str, event: str, item: Json) -> None:
        self._version += 1
        item["metadata"]["resourceVersion"] = str(self._version)
        self._kind(kind).history.append((self._version, event, item))
        space = item["metadata"].get("namespace", "")
        for watcher in self._watchers:
            if watcher.kind == kind and watcher.namespace in ("", space):
                watcher.queue.put_nowait({"type": event, "object": item})

    def _each(self, kind: str, *what: Any) -> None:
        for watcher in self._watchers:
            if kind in ("", watcher.kind):
                for each in what:
                    watcher.queue.put_nowait(each)

    def _bookmark(self, annotations: Json) -> Json:
        meta = {"resourceVersion": str(self._version), "creationTimestamp": None, "annotations": annotations}
        return {"type": "BOOKMARK", "object": {"metadata": meta}}

    def _note(self, request: web.Request) -> tuple[Asked, web.Response | None]:
        query = dict(request.query)
        verb = {"POST": "create", "PUT": "update", "DELETE": "delete"}.get(request.method, "")
        verb = verb or ("get" if "name" in request.match_info else "watch" if query.get("watch") == "true" else "list")
        asked = Asked(
            verb=verb,
            kind=request.match_info["kind"],
            namespace=request.match_info.get("namespace", ""),
            query=query,
            agent=request.headers.get("User-Agent", ""),
            token=request.headers.get("Authorization", "").removeprefix("Bearer "),
        )
        self.asked.append(asked)
        if asked.token not in self.tokens:
            return asked, _refuse(asked, 401, "Unauthorized")
        for refusal in self._refusals:
            if refusal.times > 0 and refusal.kind in ("", asked.kind) and refusal.verb in ("", asked.verb):
                if not refusal.when(asked):
                    continue
                refusal.times -= 1
                text = f'{asked.kind} is forbidden: User "me" cannot {verb} resource "{asked.kind}"'
                return asked, _refuse(asked, refusal.code, text, refusal.retry_after)
        return asked, None

    async def _collection(self, request: web.Request) -> web.StreamResponse:
        asked, refused = self._note(request)
        if refused is not None:
            return refused
        if asked.verb == "create":
            return await self._create(asked, request)
        return await self._watch(asked, request) if asked.verb == "watch" else self._list(asked)

    def _items(self, asked: Asked) -> list[Json]:
        items = sorted(self._kind(asked.kind).objects.items())
        return [item for key, item in items if asked.namespace in ("", key.partition("/")[0])]

    def _list(self, asked: Asked) -> web.Response:
        token = asked.query.get("continue", "")
        limit = int(asked.query.get("limit", "0"))
        if token:
            if token not in self._tokens_of_pages:
                return _refuse(asked, 410, "The provided continue parameter is too old")
            items, version = self._tokens_of_pages.pop(token)
        else:
            items, version = self._items(asked), self._version
        meta: Json = {"resourceVersion": str(version)}
        if limit and len(items) > limit:
            meta["continue"] = str(uuid.uuid4())
            meta["remainingItemCount"] = len(items) - limit
            self._tokens_of_pages[meta["continue"]] = (items[limit:], version)
            items = items[:limit]
        asked.code = 200
        return web.json_response({"kind": "List", "apiVersion": "v1", "metadata": meta, "items": items})

    async def _watch(self, asked: Asked, request: web.Request) -> web.StreamResponse:
        initial = asked.query.get("sendInitialEvents") == "true"
        version = int(asked.query.get("resourceVersion") or 0)
        collection = self._kind(asked.kind)
        if initial and self.streaming_list == "no":
            return _refuse(asked, 422, "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch")
        if not initial and version < collection.oldest and self.gone_as_status:
            return _refuse(asked, 410, f"too old resource version: {version} ({collection.oldest})")
        watcher = Watcher(asked.kind, asked.namespace, request)
        for event in self._backlog(asked, collection, version):
            watcher.queue.put_nowait(event)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        asked.code = 200
        self._watchers.append(watcher)
        try:
            await response.prepare(request)
            async with asyncio.timeout(float(asked.query.get("timeoutSeconds", "1800"))):
                await self._pump(watcher, request, response)
        except (TimeoutError, ConnectionError):
            pass
        finally:
            self._watchers.remove(watcher)
        return response

    def _backlog(self, asked: Asked, collection: Collection, version: int) -> list[Any]:
        if asked.query.get("sendInitialEvents") == "true":
            if self.streaming_list == "broken":
                said = status(500, "required storage feature RequestWatchProgress is disabled")
                return [{"type": "ERROR", "object": said}, END]
            added = [{"type": "ADDED", "object": item} for item in self._items(asked)]
            return added if self.streaming_list == "unknown" else [*added, self._bookmark(INITIAL_END)]
        if version < collection.oldest:
            said = status(410, f"too old resource version: {version} ({collection.oldest})")
            return [{"type": "ERROR", "object": said}, END]
        return [
            {"type": event, "object": item}
            for number, event, item in collection.history
            if number > version and asked.namespace in ("", item["metadata"].get("namespace", ""))
        ]

    async def _pump(self, watcher: Watcher, request: web.Request, response: web.StreamResponse) -> None:
        while True:
            what = await watcher.queue.get()
            if what is END:
                return
            if what is ABORT:
                if request.transport is not None:
                    request.transport.abort()
                return
            while self.silent:  # noqa: ASYNC110 (a test sets it as it likes)
                await asyncio.sleep(0.01)
            text = what if isinstance(what, str) else json.dumps(what)
            await response.write(text.encode() + b"\n")

    async def _create(self, asked: Asked, request: web.Request) -> web.Response:
        item = json.loads(await request.read())
        item["metadata"].setdefault("namespace", asked.namespace)
        if _key(item) in self._kind(asked.kind).objects:
            return _refuse(asked, 409, f"{asked.kind} {item['metadata']['name']!r} already exists")
        return self._store(asked, item, 201)

    async def _single(self, request: web.Request) -> web.Response:
        asked, refused = self._note(request)
        if refused is not None:
            return refused
        name = request.match_info["name"]
        present = self._kind(asked.kind).objects.get(f"{asked.namespace}/{name}")
        if present is None:
            return _refuse(asked, 404, f'{asked.kind} "{name}" not found')
        if asked.verb == "get":
            asked.code = 200
            return web.json_response(present)
        item = json.loads(await request.read())
        wanted = item["metadata"].get("resourceVersion", "")
        if wanted and wanted != present["metadata"]["resourceVersion"]:
            return _refuse(asked, 409, "the object has been modified; please apply your changes to the latest version")
        return self._store(asked, item, 200)

    def _store(self, asked: Asked, item: Json, code: int) -> web.Response:
        spec = item.get("spec", {})
        for name in ("acquireTime", "renewTime"):
            if asked.kind == "leases" and spec.get(name) is not None and not MICRO_TIME.fullmatch(spec[name]):
                return _refuse(asked, 400, f'parsing time "{spec[name]}": cannot parse as ".000000"')
        asked.code = code
        return web.json_response(self.put(asked.kind, item), status=code)


def status(code: int, message: str) -> Json:
    """The body that a real server sends with a code."""
    return {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
        "reason": REASONS.get(code, ""), "code": code,
    }  # fmt: skip


def _refuse(asked: Asked, code: int, message: str, retry_after: int = 0) -> web.Response:
    asked.code = code
    headers = {"Retry-After": str(retry_after)} if retry_after else {}
    return web.json_response(status(code, message), status=code, headers=headers)


def _key(item: Json) -> str:
    return f"{item['metadata'].get('namespace', '')}/{item['metadata']['name']}"
