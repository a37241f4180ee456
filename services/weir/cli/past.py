"""History in front of the live tail: entries of the archive, oldest first, and none of them twice."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from weir.cli.client import Hub
from weir.errors import SettingsError
from weir.model.entry import EntryMap

PAGE = 500
ORDERED = 100
"""Entries that are shown in another order than by time, where nobody says how many."""
REMEMBERED = 50_000
"""Entries that are known as shown when live ones begin."""
NEAR_NS = 120 * 10**9
"""An entry has the time of its first byte, and may be kept so long after one that began later."""
LABEL_HINT = "name pods, or use --filter 'src.labels[\"app\"] == \"web\"' for labels that entries carry"


class Past:
    """`conditions` and `times` as the hub takes them; `last`: how many of the newest are wanted, 0 for all; `order`:
    another one than the oldest first."""

    def __init__(
        self, hub: Hub, conditions: dict[str, str], times: dict[str, str], last: int, detail: str, order: str = ""
    ) -> None:
        self._hub = hub
        self._params = conditions | {"detail": detail}
        self._times = times
        self._last = last
        self._order = order
        self._shown: dict[str, tuple[int, int]] = {}
        """Version and time by id, in the order in which they were shown."""
        self._oldest = 0
        self._newest = 0
        self.hidden = 0

    async def entries(self) -> AsyncIterator[list[EntryMap]]:
        """What there is, page by page."""
        if self._order:
            left = self._last or ORDERED
            async for page in self._pages(self._times | {"order": self._order}, min(left, PAGE)):
                yield page[:left]
                left -= len(page)
                if left <= 0:
                    return
            return
        if self._last:
            yield [entry for entry in await self._newest_ones() if self.fresh(entry)]
            return
        async for page in self._pages(self._times | {"order": "oldest"}, PAGE):
            yield [entry for entry in page if self.fresh(entry)]

    async def caught_up(self) -> AsyncIterator[list[EntryMap]]:
        """What was kept while the others were shown."""
        if not self._newest:
            return
        since = max(self._newest - NEAR_NS, self._oldest)
        async for page in self._pages({"since": str(since), "order": "oldest"}, PAGE):
            yield [entry for entry in page if self.fresh(entry)]

    def fresh(self, entry: EntryMap) -> bool:
        """Whether it was not shown yet, or poorer; from now on it was."""
        name, version, at = str(entry.get("id", "")), int(entry.get("version", 1)), int(entry.get("timestamp", 0))
        known = self._shown.pop(name, None)
        if known is not None and known[0] >= version:
            self._shown[name] = known
            return False
        self._shown[name] = version, at
        self._newest = max(self._newest, at)
        if len(self._shown) > REMEMBERED:
            _, forgotten = self._shown.pop(next(iter(self._shown)))
            self._oldest = max(self._oldest, forgotten + 1)
        return True

    async def _newest_ones(self) -> list[EntryMap]:
        found: list[EntryMap] = []
        async for page in self._pages(self._times, min(self._last, PAGE)):
            found += page
            if len(found) >= self._last:
                break
        return found[: self._last][::-1]

    async def _pages(self, more: dict[str, str], size: int) -> AsyncIterator[list[EntryMap]]:
        cursor = ""
        while True:
            params = self._params | more | {"limit": str(size)} | ({"cursor": cursor} if cursor else {})
            told = await self._hub.get("/api/v1/entries", params)
            if not isinstance(told, dict) or not isinstance(told.get("entries"), list):
                raise self._hub.stranger()
            self.hidden += int(told.get("hidden") or 0)
            yield told["entries"]
            cursor = told.get("next") or ""
            if not cursor:
                return


def wish_filter(wish: Mapping[str, Any]) -> str:
    """The filter for what a rule selects, as far as entries tell: one of their ends fits all of it."""
    if wish.get("labels"):
        raise SettingsError("history cannot be looked up by --selector: entries do not carry every label",
                            hint=LABEL_HINT)
    if wish.get("target"):
        conditions = [_target(end, str(wish["target"])) for end in ("src", "dst")]
    else:
        conditions = [" && ".join(_end(end, wish)) for end in ("src", "dst")]
    return " || ".join(f"({one})" for one in conditions) if all(conditions) else ""


def _end(end: str, wish: Mapping[str, Any]) -> list[str]:
    made = []
    if pod := wish.get("pod"):
        whole = rf"\A(?:{pod})\z"
        made.append(f"{end}.pod.name.matches({_text(whole)})")
    if spaces := wish.get("namespaces"):
        made.append(f"{end}.namespace in {_list(spaces)}")
    if spaces := wish.get("exclude_namespaces"):
        made.append(f"!({end}.namespace in {_list(spaces)})")
    if workload := wish.get("workload"):
        same = f"{end}.workload == {_text(workload)}"
        made.append(same if "/" in workload else f"{end}.workload.endsWith({_text('/' + workload)})")
    if node := wish.get("node"):
        made.append(f"{end}.node == {_text(node)}")
    if service := wish.get("service"):
        namespace, _, name = service.rpartition("/")
        made.append(f"{end}.service.name == {_text(name)}")
        made += [f"{end}.service.namespace == {_text(namespace)}"] if namespace else []
    if port := wish.get("port"):
        made.append(f"{end}.port == {port}")
    return made


def _target(end: str, target: str) -> str:
    if target == "all":
        return ""
    if target.startswith("port:"):
        return f"{end}.port == {target.removeprefix('port:')}"
    if "/" in target:
        raise SettingsError(f"history cannot be looked up by the network {target}",
                            hint="use --filter 'src.ip.startsWith(\"10.1.\")'")
    host, colon, port = target.rpartition(":")
    if colon and port.isdigit() and (":" not in host or host.startswith("[")):
        return f"{end}.ip == {_text(host.strip('[]'))} && {end}.port == {port}"
    return f"{end}.ip == {_text(target)}"


def _text(value: str) -> str:
    return json.dumps(value)


def _list(values: Sequence[str]) -> str:
    return f"[{', '.join(map(_text, values))}]"
