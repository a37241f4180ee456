"""What was asked, by the servers' own logs, and what was told of it: held to each other request by request."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

import msgspec

from weir.model.entry import EntryMap
from weir.testing.lab.places import Place, Talk

Told = dict[str, EntryMap]
"""By id, the fullest version of each entry."""


class Verdict(msgspec.Struct, kw_only=True):
    """`missing` and `doubled` are what nothing may be in; `wrong` is told, but not as it was."""

    asked: int
    missing: list[str] = []
    doubled: list[str] = []
    wrong: list[str] = []

    def __str__(self) -> str:
        parts = [f"{self.asked} asked"]
        for name in ("missing", "doubled", "wrong"):
            found: list[str] = getattr(self, name)
            parts.append(f"{len(found)} {name}" + (f": {', '.join(found[:5])} …" if found else ""))
        return "; ".join(parts)

    @property
    def good(self) -> bool:
        return self.asked > 0 and not (self.missing or self.doubled or self.wrong)


def keep(told: Told, entry: EntryMap) -> None:
    """As who reads the topic does."""
    have = told.get(entry["id"])
    if have is None or entry.get("version", 1) >= have.get("version", 1):
        told[entry["id"]] = entry


def logged(folders: Iterable[Path]) -> list[str]:
    """The paths that nginx served."""
    return [
        line.split('"')[1].split()[1]
        for folder in folders for line in (folder / "access.log").read_text(encoding="ascii").splitlines()
    ]


def requests(place: Place, paths: list[str], told: Told) -> Verdict:
    """Each path that a server logged is one exchange, complete, between the ends that it really had."""
    found = _by(told, "http", "path")
    verdict = _counted(paths, found)
    for path in paths:
        for entry in found.get(path, ())[:1]:
            talk = place.talks[int(path.split("/")[3])]
            if reason := _wrong(entry, talk) or _wrong_exchange(entry, path):
                verdict.wrong.append(f"{path} ({reason})")
    return verdict


def queries(place: Place, names: list[str], told: Told) -> Verdict:
    """Each name that was asked for is one exchange."""
    found = _by(told, "dns", "dns_name")
    verdict = _counted(names, found)
    for name in names:
        for entry in found.get(name, ())[:1]:
            if reason := _wrong(entry, place.dns[0]):
                verdict.wrong.append(f"{name} ({reason})")
    return verdict


def _by(told: Told, protocol: str, field: str) -> dict[str, list[EntryMap]]:
    found: dict[str, list[EntryMap]] = defaultdict(list)
    for entry in told.values():
        if entry["protocol"] == protocol:
            found[str(entry.get(field, ""))].append(entry)
    return found


def _counted(asked: list[str], found: dict[str, list[EntryMap]]) -> Verdict:
    assert max(Counter(asked).values(), default=0) == 1, "a server was asked for something twice"
    return Verdict(
        asked=len(asked), missing=[name for name in asked if name not in found],
        doubled=[name for name in asked if len(found.get(name, ())) > 1],
    )


def _wrong(entry: EntryMap, talk: Talk) -> str:
    ends = entry["src"].get("ip"), entry["dst"].get("ip")
    if ends != (talk.src, talk.dst):
        return f"told between {ends[0]} and {ends[1]}"
    if talk.node and entry["node_name"] != talk.node:
        return f"told by {entry['node_name']}"
    return ""


def _wrong_exchange(entry: EntryMap, path: str) -> str:
    if entry.get("incomplete") or entry.get("status_code") != 200:
        return f"incomplete: {entry.get('incomplete')}, status {entry.get('status_code')}"
    body = (entry.get("response") or {}).get("body") or {}
    return "" if body.get("text") == path else f"with the response {body.get('text')!r}"
