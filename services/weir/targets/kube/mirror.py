"""Pure: one kind as the watch told it so far, and what is new in each page and event.

Knows nothing of streams and retries; `reflector` brings the bytes. Names follow the API's concepts: a version is a
resourceVersion, opaque; a streaming list is a watch with `sendInitialEvents`, whose end a bookmark tells.
"""

from __future__ import annotations

from typing import Any

import msgspec

from weir.targets.kube.faults import ApiError, refusal
from weir.targets.kube.objects import Change, Delete, Object, Put, Replace
from weir.targets.kube.values import Resource
from weir.targets.kube.wire import Event, Metadata, read_event, read_named, read_page, read_status

INITIAL_END = "k8s.io/initial-events-end"


class Mirror:
    """Objects by `namespace/name`; `version` is where a watch goes on, empty while a list is needed."""

    def __init__(self, resource: Resource[Any], namespace: str = "") -> None:
        self.resource = resource
        self.namespace = namespace
        self.known: dict[str, Object] = {}
        self.version = ""
        self.unreadable = 0
        """Objects that were passed over since they are not what the API promises."""
        self._fresh: dict[str, Object] = {}
        self._what = f"watch {resource.path(namespace)}"

    def restart(self) -> None:
        """Begin a list. What is known stays known until the list is complete."""
        self.version = ""
        self._fresh = {}

    def page(self, body: bytes) -> tuple[str, Replace | None]:
        """Take one page of a list: the token of the next page, or what the complete list says.

        :raises ApiError: it is no list.
        """
        try:
            page = read_page(body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ApiError(f"list {self.resource.path(self.namespace)}: no list: {error}") from None
        for raw in page.items or ():
            value = self._read(raw)
            if value is not None:
                self._fresh[_key(value)] = value
        if page.metadata.continue_:
            return page.metadata.continue_, None
        return "", self._complete(page.metadata.resource_version)

    def event(self, line: bytes) -> list[Change]:
        """Take one line of a watch.

        :raises ApiError: the server said ERROR, or the line is no event.
        """
        try:
            event = read_event(line)
            if event.type == "ERROR":
                raise refusal(read_status(event.object), 0, self._what, in_stream=True)
            metadata = read_named(event.object).metadata
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ApiError(f"{self._what}: no event: {error}") from None
        if event.type == "BOOKMARK":
            return self._bookmark(metadata)
        if not self.version:
            return self._initial(event)
        self.version = metadata.resource_version or self.version
        return self._deleted(event, metadata) if event.type == "DELETED" else self._put(event)

    def _bookmark(self, metadata: Metadata) -> list[Change]:
        if self.version:
            self.version = metadata.resource_version or self.version
        elif (metadata.annotations or {}).get(INITIAL_END) == "true":
            return [self._complete(metadata.resource_version)]
        return []

    def _initial(self, event: Event) -> list[Change]:
        value = self._read(event.object)
        if value is not None:
            if event.type == "DELETED":
                self._fresh.pop(_key(value), None)
            else:
                self._fresh[_key(value)] = value
        return []

    def _complete(self, version: str) -> Replace:
        fresh, self._fresh = self._fresh, {}
        gone = [value for key, value in self.known.items() if (new := fresh.get(key)) is None or new.uid != value.uid]
        self.known = fresh
        self.version = version
        return Replace(
            kind=self.resource.kind, namespace=self.namespace, objects=tuple(fresh.values()), gone=tuple(gone)
        )

    def _put(self, event: Event) -> list[Change]:
        value = self._read(event.object)
        if value is None:
            return []
        key = _key(value)
        before = self.known.get(key)
        if value == before:
            return []
        self.known[key] = value
        if before is not None and before.uid != value.uid:
            return [Delete(object=before), Put(object=value)]
        return [Put(object=value, before=before)]

    def _deleted(self, event: Event, metadata: Metadata) -> list[Change]:
        before = self.known.pop(f"{metadata.namespace}/{metadata.name}", None)
        value = self._read(event.object) or before
        return [Delete(object=value)] if before is not None and value is not None else []

    def _read(self, raw: msgspec.Raw) -> Object | None:
        try:
            return self.resource.read(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, OverflowError, ValueError):
            self.unreadable += 1
            return None


def _key(value: Object) -> str:
    return f"{getattr(value, 'namespace', '')}/{value.name}"
