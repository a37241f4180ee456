"""Reading files without a bus, with a dissector that fails."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from weir.cli.demo import RECORDING
from weir.cli.offline import STAGES, Offline, read_entries, with_files
from weir.dissect.protocols.http1 import Http1
from weir.model.entry import EntryMap
from weir.runtime.process import load_settings


def protocols(entries: Iterable[EntryMap]) -> set[str]:
    return {entry["protocol"] for entry in entries}


async def test_a_dissector_that_raises_costs_its_flows_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("a bug")

    whole = await read_entries(load_settings(STAGES, with_files({}, [str(RECORDING)]), environ={}))
    monkeypatch.setattr(Http1, "feed", broken)
    offline = Offline(load_settings(STAGES, with_files({}, [str(RECORDING)]), environ={}))
    entries = [entry async for some in offline.entries() for entry in some]
    assert protocols(whole) - protocols(entries) == {"http"}
    for protocol in ("dns", "grpc"):
        assert sum(e["protocol"] == protocol for e in entries) == sum(e["protocol"] == protocol for e in whole)
    assert sum(n for name, n in offline.counts.items() if name.startswith("decode.dissector_failed{http")) > 0
    assert any("dissector http failed" in note for entry in entries for note in entry.get("weird", []))
