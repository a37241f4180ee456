from __future__ import annotations

import argparse
from typing import Any, cast

import pytest

from weir.cli.args import Parser
from weir.cli.client import Hub
from weir.cli.past import NEAR_NS, REMEMBERED, Past, wish_filter
from weir.cli.wish import add_rule_options, wish_of
from weir.errors import HubError, SettingsError
from weir.query.filter.check import check
from weir.query.match import entry_predicate, predicate
from weir.query.row import row_of
from weir.query.structured import Query

SECOND = 10**9


def entry(name: str, at: int = 0, version: int = 1) -> dict[str, Any]:
    return {"id": name, "timestamp": at, "version": version}


class PlayedHub:
    """Answers pages as they were laid out, and keeps what was asked."""

    def __init__(self, *pages: list[dict[str, Any]]) -> None:
        self.pages = list(pages)
        self.asked: list[dict[str, str]] = []

    async def get(self, path: str, params: dict[str, str]) -> Any:
        assert path == "/api/v1/entries"
        self.asked.append(params)
        page = self.pages.pop(0)
        return {"entries": page, "next": f"c{len(self.pages)}" if self.pages else None, "hidden": 2}

    def stranger(self) -> HubError:
        return HubError("no hub")


def past(hub: Any, times: dict[str, str] | None = None, last: int = 0) -> Past:
    return Past(cast(Hub, hub), {"filter": "http"}, times or {}, last, "summary")


async def shown(pages: Any) -> list[str]:
    return [one["id"] for page in [page async for page in pages] for one in page]


async def test_all_of_a_time_oldest_first() -> None:
    hub = PlayedHub([entry("a"), entry("b")], [entry("c")])
    looking = past(hub, {"since": "15m"})
    assert await shown(looking.entries()) == ["a", "b", "c"]
    assert hub.asked[0] == {"filter": "http", "detail": "summary", "since": "15m", "order": "oldest", "limit": "500"}
    assert hub.asked[1]["cursor"] == "c1"
    assert looking.hidden == 4


async def test_the_newest_ones_oldest_first() -> None:
    hub = PlayedHub([entry("d"), entry("c")], [entry("b"), entry("a")], [entry("-")])
    assert await shown(past(hub, last=3).entries()) == ["b", "c", "d"]
    assert "order" not in hub.asked[0]
    assert len(hub.asked) == 2


async def test_in_another_order_a_hundred_are_enough() -> None:
    hub = PlayedHub([entry(str(n)) for n in range(60)], [entry(str(n)) for n in range(60, 120)], [entry("-")])
    looking = Past(cast(Hub, hub), {}, {"since": "1h"}, 0, "summary", "slowest")
    assert await shown(looking.entries()) == [str(n) for n in range(100)]
    assert hub.asked[0] == {"detail": "summary", "since": "1h", "order": "slowest", "limit": "100"}
    assert len(hub.asked) == 2


async def test_what_was_kept_late_is_shown_and_nothing_twice() -> None:
    hub = PlayedHub([entry("a", 1000 * SECOND), entry("b", 2000 * SECOND)])
    looking = past(hub)
    await shown(looking.entries())
    hub.pages = [[entry("b", 2000 * SECOND), entry("late", 1990 * SECOND)]]
    assert await shown(looking.caught_up()) == ["late"]
    assert hub.asked[-1]["since"] == str(2000 * SECOND - NEAR_NS)
    assert [looking.fresh(one) for one in (entry("late"), entry("b"), entry("b", version=2), entry("new"))] == [
        False, False, True, True,
    ]


async def test_where_nothing_was_there_is_nothing_to_catch_up_with() -> None:
    hub = PlayedHub([])
    looking = past(hub)
    await shown(looking.entries())
    assert await shown(looking.caught_up()) == []
    assert len(hub.asked) == 1


async def test_what_was_forgotten_is_not_asked_for_again() -> None:
    hub = PlayedHub([entry(str(n), 10**18 + n) for n in range(REMEMBERED + 5)])
    looking = past(hub)
    assert len(await shown(looking.entries())) == REMEMBERED + 5
    hub.pages = [[]]
    await shown(looking.caught_up())
    assert hub.asked[-1]["since"] == str(10**18 + 5)


async def test_a_stranger_is_told() -> None:
    class Stranger(PlayedHub):
        async def get(self, path: str, params: dict[str, str]) -> Any:
            return ["something"]

    with pytest.raises(HubError):
        await shown(past(Stranger()).entries())


POD = {
    "kind": "exchange", "protocol": "http", "dst": {"ip": "10.1.0.9"},
    "src": {
        "ip": "10.1.0.7", "port": 8080, "namespace": "prod", "workload": "deployment/cart", "node": "n1",
        "pod": {"name": "cart-1", "namespace": "prod"}, "service": {"name": "cart", "namespace": "prod"},
    },
}


def fits(text: str, one: dict[str, Any]) -> bool:
    query = Query(filter=text, hidden=True)
    rest = entry_predicate(query)
    return predicate(query)(row_of(one)) and (rest is None or rest(one))


def typed(*words: str) -> dict[str, Any]:
    parser = Parser("tap", "usage", "", words)
    parser.add_argument("pod", nargs="*")
    add_rule_options(parser, "narrower")
    args: argparse.Namespace = parser.parse()
    return wish_of(args, args.pod)


@pytest.mark.parametrize(
    ("words", "selects"),
    [
        (["cart-.*"], True), (["cart"], False), (["cart-1", "web-.*"], True), (["cart.*", "-n", "prod"], True),
        (["cart.*", "-n", "test"], False), (["cart.*", "--exclude-namespace", "prod"], False),
        (["--workload", "cart"], True), (["--workload", "deployment/cart"], True), (["--workload", "art"], False),
        (["--service", "prod/cart"], True), (["--service", "test/cart"], False), (["--node", "n1"], True),
        (["cart.*", "--port", "8080"], True), (["cart.*", "--port", "80"], False), (["--ip", "10.1.0.9"], True),
        (["--ip", "port:8080"], True), (["--ip", "10.1.0.7:8080"], True), (["--ip", "10.1.0.7:80"], False),
    ],
)
def test_a_rule_as_a_filter_for_what_was(words: list[str], selects: bool) -> None:
    turned = POD | {"src": POD["dst"], "dst": POD["src"]}
    assert fits(wish_filter(typed(*words)), POD) is selects
    assert fits(wish_filter(typed(*words)), turned) is selects


def test_all_of_an_address_is_every_entry() -> None:
    assert wish_filter(typed("--ip", "all")) == ""
    assert check(wish_filter(typed("--ip", "[fd00::1]:80"))).op == "or"


@pytest.mark.parametrize("words", [["-l", "app=web"], ["--ip", "10.0.0.0/8"]])
def test_what_entries_do_not_tell_is_refused(words: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        wish_filter(typed(*words))
    assert "--filter" in caught.value.hint
