"""Follow live entries in this terminal, until ^C.

With pods, what they say is read while you look: a rule for them is leased to this terminal, and gone 60 s after it ends
(at once after ^C). --keep leaves it. Other rules go on; the terminal shows what this one selects.
Without pods, everything that the hub shows is followed, and nothing is asked for.

The hub is the one that is named, else the one that runs on this machine, else that of the cluster that the kubeconfig
names: weir finds it, forwards a port and reads its token.

examples:
  weir tap "checkout.*" -n prod                     what the pods of checkout say
  weir tap -l app=web --exclude-namespace test      by labels, in every namespace but one
  weir tap --workload deployment/cart -n prod --protocol http
  weir tap                                          what the hub shows anyway
  weir tap --hub 'http://10.0.0.5:8899/?token=…'    another hub, by the URL that it prints
  weir tap -o json --limit 100 | jq .path           100 entries, one a line
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec

from weir.cli.args import Parser, count
from weir.cli.client import Hub, add_hub, connect
from weir.cli.commands.targets import added
from weir.cli.flags import add_common, add_output
from weir.cli.interrupt import interruptible
from weir.cli.render.entries import Renderer, renderer, wants_color
from weir.cli.render.text import safe
from weir.cli.wish import RULES, Wish, add_rule_options, author, checked, named, path_of, wish_of
from weir.errors import HubError, SettingsError, WeirError

USAGE = "weir tap [POD…] [options]"
LEASE_S = 60
RENEW_S = 20
GIVE_UP_S = 5.0
"""So long the end waits for the hub to remove the rule."""


def add_arguments(parser: Parser) -> None:
    group = parser.add_argument_group("which pods (a rule that is leased to this terminal)")
    group.add_argument("pod", nargs="*", metavar="POD", help="regular expression (RE2) that the whole pod name fits")
    group.add_argument("--keep", action="store_true", help="leave the rule when this ends")
    add_rule_options(parser, "narrower")
    group = parser.add_argument_group("which entries (what is shown, never what is captured)")
    group.add_argument("--protocol", action="append", default=[], metavar="P",
                       help="only this protocol (may be repeated)")
    group.add_argument("--filter", default="", metavar="EXPR",
                       help="only entries that fit this condition, e.g. 'http && status_code >= 500'")
    group.add_argument("--text", default="", help="only entries in which this text occurs")
    group.add_argument("--hidden", action="store_true", help="probes and views in front of a service, too")
    group.add_argument("--limit", type=count("--limit"), default=0, metavar="N", help="end after N entries")
    add_output(parser)
    add_hub(parser)
    add_common(parser)


def run(args: argparse.Namespace) -> int:
    wish = wish_of(args, args.pod)
    if args.keep and not wish:
        raise SettingsError("--keep without pods", hint='weir tap POD --keep; for every pod: ".*"')
    if wish:
        wish = checked(named(wish, "" if args.keep else _own_name()))
    render = renderer(args.output, sys.stdout, wants_color(args.color, sys.stdout))
    seen = Seen()
    try:
        asyncio.run(_follow(args, wish, render, seen))
    finally:
        if seen.tapped:
            _say(seen.summary())
    return 0


def _own_name() -> str:
    """This terminal's rule: others see whose it is, and two terminals do not take each other's."""
    who = re.sub(r"[^A-Za-z0-9.@-]+", "-", author().removeprefix("cli ")).strip("-.@") or "somebody"
    return f"tap/{who[:80]}/{os.getpid()}"


class Seen:
    """What the summary at the end tells."""

    tapped = False
    shown = 0
    matched = 0
    missed = 0
    hidden = 0

    def summary(self) -> str:
        lines = [f"{self.shown:,} entries shown"]
        if self.missed:
            lines.append(f"{self.missed:,} missed: this reader was too slow")
        if (left_out := self.matched - self.shown - self.missed) > 0:
            lines.append(f"{left_out:,} left out: more than the rate that is shown")
        if self.hidden:
            lines.append(f"{self.hidden:,} probes or views in front of a service left out (--hidden shows them)")
        return "; ".join(lines)


async def _follow(args: argparse.Namespace, wish: Wish, render: Renderer, seen: Seen) -> None:
    """Until ^C, the limit, or the end of the hub."""
    stop = asyncio.Event()
    with interruptible(stop):
        following = asyncio.ensure_future(_show_all(args, wish, render, seen))
        stopped = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({following, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                following.result()
        finally:
            following.cancel()
            stopped.cancel()
            await asyncio.gather(following, stopped, return_exceptions=True)


async def _show_all(args: argparse.Namespace, wish: Wish, render: Renderer, seen: Seen) -> None:
    async with connect(args) as hub, _asked_for(hub, wish, args.keep):
        await _warn(hub, asked=bool(wish))
        params = {
            "format": "json", "text": args.text, "protocol": ",".join(args.protocol), "filter": args.filter,
            "rule": wish.get("name", ""), "hidden": "1" if args.hidden else "",
        }
        async with hub.tail({k: v for k, v in params.items() if v}) as socket:
            async for message in socket:
                if message.type != aiohttp.WSMsgType.TEXT:
                    continue
                if not seen.tapped:
                    seen.tapped = True
                    _say(f"following {hub.base}; ^C ends")
                if _show(msgspec.json.decode(message.data), render, seen, args.limit):
                    return
        raise HubError(f"the hub at {hub.base} ended the connection", hint="`weir status` tells whether it still runs")


@contextlib.asynccontextmanager
async def _asked_for(hub: Hub, wish: Wish, keep: bool) -> AsyncIterator[None]:
    """Inside the block the rule is in force; afterwards it is removed, unless it is to stay."""
    if not wish:
        yield
        return
    body = wish | {"author": author(), "for_s": 0 if keep else LEASE_S}
    _tell(await hub.post(RULES, body))
    if keep:
        yield
        return
    renewing = asyncio.ensure_future(_renew(hub, body))
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)
        # A hub that is gone cannot be asked any more: the lease ends by itself.
        with contextlib.suppress(WeirError, TimeoutError):
            async with asyncio.timeout(GIVE_UP_S):
                await hub.delete(path_of(str(wish["name"])))


async def _renew(hub: Hub, body: Wish) -> None:
    """Keep the lease, and tell when the rule selects something where it selected nothing, or the reverse."""
    selects: bool | None = None
    while True:
        await asyncio.sleep(RENEW_S)
        try:
            state = await hub.post(RULES, body)
        except WeirError as error:
            _say(f"the rule could not be renewed, and ends soon: {error.message}")
            continue
        if selects is not None and selects != bool(state["pods"]):
            _tell(state)
        selects = bool(state["pods"])


def _tell(state: dict[str, Any]) -> None:
    for line in added(state):
        _say(line)
    if not state["pods"] and not state["rule"].get("target"):
        _say("nothing is selected now; pods that come and fit are shown (`weir targets preview` tries other rules)")


def _say(text: str) -> None:
    print(f"weir: {text}", file=sys.stderr)


def _show(told: dict[str, Any], render: Renderer, seen: Seen, limit: int) -> bool:
    """Render one message of the hub; True when the limit is reached."""
    if told.get("type") == "error":
        raise HubError(f"the hub refuses: {told.get('error')}", hint=str(told.get("hint", "")))
    seen.missed += told.get("missed", 0)
    seen.matched += told.get("matched", 0)
    seen.hidden += told.get("hidden", 0)
    for entry in told.get("entries", []):
        render.entry(entry)
        seen.shown += 1
        if limit and seen.shown >= limit:
            sys.stdout.flush()
            seen.matched = seen.shown + seen.missed
            return True
    sys.stdout.flush()
    return False


async def _warn(hub: Hub, *, asked: bool) -> None:
    """What a reader should know; that nothing was targeted is not true any more once this one has asked."""
    health = await hub.get("/api/v1/health")
    nothing = "" if asked else health["target"].get("says", "")
    for text in [nothing, *health["says"], *(loss["says"] for loss in health["losses"])]:
        if text:
            _say(safe(str(text)))
