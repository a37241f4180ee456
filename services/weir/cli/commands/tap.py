"""Follow live entries in this terminal, until ^C; with --last, --since or --until show history first.

With pods, what they say is read while you look: a rule for them is leased to this terminal, and gone 60 s after it ends
(at once after ^C). --keep leaves it. Other rules go on; the terminal shows what this one selects.
Without pods, everything that the hub shows is followed, and nothing is asked for.

The hub is the one that is named, else the one that runs on this machine, else that of the cluster that the kubeconfig
names: weir finds it, forwards a port and reads its token.

examples:
  weir tap "checkout.*" -n prod                       what the pods of checkout say
  weir tap -l app=web --exclude-namespace test        by labels, in every namespace but one
  weir tap --workload deployment/cart -n prod --filter 'http && failed'
  weir tap --last 15m --filter 'status_code >= 500'   what failed lately, and then live
  weir tap --last 50 --no-follow -o full | less       the newest 50, with headers and bodies
  weir tap --filter call --order slowest --last 1h    the slowest calls of an hour
  weir tap --hub 'http://10.0.0.5:8899/?token=…'      another hub, by the URL that it prints
  weir tap -o json --limit 100 | jq .path             100 entries, one a line
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec

from weir.cli.args import Parser, count, one_of
from weir.cli.client import Hub, add_hub, connect
from weir.cli.conditions import (
    add_entry_options,
    add_fields_option,
    add_time_options,
    asked,
    both,
    fields_of,
    last_of,
    time_range,
)
from weir.cli.flags import add_common, add_output
from weir.cli.interrupt import interruptible
from weir.cli.lease import leased, say
from weir.cli.past import Past, wish_filter
from weir.cli.render.entries import Renderer, renderer, wants_color
from weir.cli.render.text import safe
from weir.cli.wish import Wish, add_rule_options, author, checked, named, wish_of
from weir.errors import HubError, SettingsError
from weir.model.entry import EntryMap
from weir.query.structured import ORDERS

USAGE = "weir tap [POD…] [options]"
KEPT_S = 1.0
"""So long an entry takes at most, usually, from the tail to the archive."""


def add_arguments(parser: Parser) -> None:
    group = parser.add_argument_group("which pods (a rule that is leased to this terminal)")
    group.add_argument("pod", nargs="*", metavar="POD", help="regular expression (RE2) that the whole pod name fits")
    group.add_argument("--keep", action="store_true", help="leave the rule when this ends")
    add_rule_options(parser, "narrower")
    add_entry_options(parser, "which entries (what is shown, never what is captured)")
    group = add_time_options(
        parser, "history, before live entries", "the newest N entries, or the last 15m, 2h, …", "N|AGE"
    )
    group.add_argument("--order", type=one_of("--order", ORDERS), metavar="ORDER",
                       help="100 (or --limit) of the history, newest, slowest or failed first")
    group.add_argument("--no-follow", action="store_true", help="end after the history; --until does, too")
    group = add_output(parser)
    add_fields_option(group)
    group.add_argument("--rate", type=count("--rate"), default=0, metavar="N",
                       help="live entries a second at most; the rest is counted [500]")
    add_hub(parser)
    add_common(parser)


def run(args: argparse.Namespace) -> int:
    wish = wish_of(args, args.pod)
    if args.keep and not wish:
        raise SettingsError("--keep without pods", hint='weir tap POD --keep; for every pod: ".*"')
    if args.no_follow and not _looks_back(args):
        raise SettingsError("--no-follow without a history", hint="for example --last 100 --no-follow")
    if wish:
        wish = checked(named(wish, "" if args.keep else _own_name()))
    last, _ = last_of(args.last)
    asking = Asking(
        args, wish, conditions=asked(args), times=time_range(args, numbers=True), last=last,
        before=wish_filter(wish) if wish and _looks_back(args) else "",
    )
    render = renderer(args.output, sys.stdout, wants_color(args.color, sys.stdout), fields_of(args))
    seen = Seen(args.limit)
    try:
        asyncio.run(_follow(asking, render, seen))
    finally:
        if seen.tapped:
            render.end()
            sys.stdout.flush()
            say(seen.summary())
    return 0


def _looks_back(args: argparse.Namespace) -> bool:
    return bool(args.since or args.until or args.last or args.order)


class Asking(msgspec.Struct, frozen=True):
    """What is asked for, checked before the hub is."""

    args: argparse.Namespace
    wish: Wish
    conditions: dict[str, str]
    times: dict[str, str]
    last: int
    before: str
    """Filter that stands for the wish in the history."""

    @property
    def live(self) -> bool:
        return not (self.args.no_follow or self.args.until or self.args.order)

    @property
    def detail(self) -> str:
        """Lists need no headers and bodies."""
        return "summary" if self.args.output == "table" else "full"

    def past(self, hub: Hub) -> Past | None:
        if not _looks_back(self.args):
            return None
        filters = both([self.conditions.get("filter", ""), self.before])
        more = {"filter": filters} if filters else {}
        last = self.last or (self.args.limit if self.args.order else 0)
        return Past(hub, self.conditions | more, self.times, last, self.detail, self.args.order or "")

    def tail(self) -> dict[str, str]:
        more = {"format": "json", "detail": self.detail, "rule": self.wish.get("name", ""), "rate": self.rate}
        return self.conditions | {name: value for name, value in more.items() if value}

    @property
    def rate(self) -> str:
        return str(self.args.rate) if self.args.rate else ""


def _own_name() -> str:
    """This terminal's rule: others see whose it is, and two terminals do not take each other's."""
    who = re.sub(r"[^A-Za-z0-9.@-]+", "-", author().removeprefix("cli ")).strip("-.@") or "somebody"
    return f"tap/{who[:80]}/{os.getpid()}"


class Seen:
    """What the summary at the end tells."""

    tapped = False
    """Live entries were followed, or history was shown: there is something to sum up."""
    shown = 0
    matched = 0
    missed = 0
    hidden = 0
    old = 0
    """Those that were shown from the history."""

    def __init__(self, limit: int) -> None:
        self._limit = limit

    @property
    def enough(self) -> bool:
        return bool(self._limit) and self.shown + self.old >= self._limit

    def summary(self) -> str:
        lines = [f"{self.shown + self.old:,} entries shown"]
        if self.missed:
            lines.append(f"{self.missed:,} missed: this reader was too slow")
        if (left_out := self.matched - self.shown - self.missed) > 0:
            lines.append(f"{left_out:,} left out: more than the rate that is shown")
        if self.hidden:
            lines.append(f"{self.hidden:,} probes or views in front of a service left out (--hidden shows them)")
        return "; ".join(lines)


async def _follow(asking: Asking, render: Renderer, seen: Seen) -> None:
    """Until ^C, the limit, or the end of the hub."""
    stop = asyncio.Event()
    with interruptible(stop):
        following = asyncio.ensure_future(_show_all(asking, render, seen))
        stopped = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({following, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                following.result()
        finally:
            following.cancel()
            stopped.cancel()
            await asyncio.gather(following, stopped, return_exceptions=True)


async def _show_all(asking: Asking, render: Renderer, seen: Seen) -> None:
    wish = asking.wish if asking.live else {}
    async with connect(asking.args) as hub, leased(hub, wish, keep=asking.args.keep):
        if asking.live:
            await _warn(hub, asked=bool(wish))
        past = asking.past(hub)
        if past is not None:
            seen.tapped = True
            await _show_past(past, past.entries(), render, seen)
        if asking.live and not seen.enough:
            await _show_live(hub, asking, past, render, seen)


async def _show_past(past: Past, pages: AsyncIterator[list[EntryMap]], render: Renderer, seen: Seen) -> None:
    async for page in pages:
        for entry in page:
            if seen.enough:
                return
            render.entry(entry)
            seen.old += 1
        sys.stdout.flush()
        seen.hidden, past.hidden = seen.hidden + past.hidden, 0


async def _show_live(hub: Hub, asking: Asking, past: Past | None, render: Renderer, seen: Seen) -> None:
    begun = False
    async with hub.tail(asking.tail()) as socket:
        async for message in socket:
            if message.type != aiohttp.WSMsgType.TEXT:
                continue
            if not begun:
                begun = seen.tapped = True
                say(f"following {hub.base}; ^C ends")
                if past is not None:
                    # What was decoded before the tail began may not have been kept yet when the history was read.
                    await asyncio.sleep(KEPT_S)
                    await _show_past(past, past.caught_up(), render, seen)
            if _show(msgspec.json.decode(message.data), past, render, seen):
                return
    raise HubError(f"the hub at {hub.base} ended the connection", hint="`weir status` tells whether it still runs")


def _show(told: dict[str, Any], past: Past | None, render: Renderer, seen: Seen) -> bool:
    """Render one message of the hub; True when the limit is reached."""
    if told.get("type") == "error":
        raise HubError(f"the hub refuses: {told.get('error')}", hint=str(told.get("hint", "")))
    seen.missed += told.get("missed", 0)
    seen.matched += told.get("matched", 0)
    seen.hidden += told.get("hidden", 0)
    for entry in told.get("entries", []):
        if past is not None and not past.fresh(entry):
            seen.matched -= 1
            continue
        render.entry(entry)
        seen.shown += 1
        if seen.enough:
            sys.stdout.flush()
            seen.matched = seen.shown + seen.missed
            return True
    sys.stdout.flush()
    return seen.enough


async def _warn(hub: Hub, *, asked: bool) -> None:
    """What a reader should know; that nothing was targeted is not true any more once this one has asked."""
    health = await hub.get("/api/v1/health")
    nothing = "" if asked else health["target"].get("says", "")
    for text in [nothing, *health["says"], *(loss["says"] for loss in health["losses"])]:
        if text:
            say(safe(str(text)))
