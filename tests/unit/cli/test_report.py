from __future__ import annotations

from weir.bus.memory import MemoryBus
from weir.cli.report import seen, summary
from weir.cli.stages import STAGES
from weir.runtime.clock import SystemClock
from weir.runtime.health import Totals
from weir.runtime.process import STAGE_SECTIONS
from weir.runtime.service import Context


def totals(**counted: int) -> Totals:
    context = Context(bus=MemoryBus())
    for name, n in counted.items():
        context.counts.add(name.replace("__", "."), n)
    return Totals("p", ["s"], SystemClock(), [context])


def test_what_was_seen_and_lost_is_told() -> None:
    told = summary(totals(capture__packets=12345, decode__entries=7, lost__capture__kernel=3))
    assert told == "weir: 12,345 packets captured, 7 entries decoded\nweir: lost 3 (capture.kernel)"


def test_nothing_lost_is_said() -> None:
    assert summary(totals(capture__packets=1)).endswith("weir: nothing was lost")
    assert summary(totals(capture__packets=1), failed=True) == "weir: 1 packets captured"


def test_what_never_began_is_not_worth_a_summary() -> None:
    nothing, something, lost = totals(), totals(decode__entries=1), totals(lost__capture__kernel=1)
    for each in (nothing, something, lost):
        each.collect()
    assert [seen(nothing), seen(something), seen(lost)] == [False, True, True]


def test_every_stage_may_stand_in_a_file_of_settings() -> None:
    assert set(STAGE_SECTIONS) == set(STAGES)
