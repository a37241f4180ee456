"""Which pods weir reads payload of: rules that add up. Without any, it reads connections and DNS only.

`list` tells the rules and what they select now, `add` makes one (or replaces the one of that name), `remove` takes
rules away, `preview` tells which pods one would select and what it would put on the bus; it changes nothing.

examples:
  weir targets list
  weir targets preview "checkout.*" -n prod
  weir targets add "checkout.*" -n prod --for 10m
  weir targets add -l app=web,tier!=cache --exclude-namespace kube-system --name web
  weir targets add --workload deployment/checkout -n prod
  weir targets add --exclude --workload vault -n prod      never, whatever other rules say
  weir targets add --ip 10.20.0.0/16                       what has no pod
  weir targets add -f rules.yaml                           a list of rules, with the same fields as the API
  weir targets remove web

POD is a regular expression (RE2) that the whole pod name fits.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from weir.cli.args import Parser, one_of
from weir.cli.client import Hub, add_hub, connect
from weir.cli.flags import add_common
from weir.cli.render.table import table
from weir.cli.render.text import safe
from weir.cli.wish import RULES, Wish, add_rule_options, author, checked, conditions, named, path_of, seconds, wish_of
from weir.errors import SettingsError

USAGE = "weir targets list|add|remove|preview [POD…] [options]"
ACTIONS = ("list", "add", "remove", "preview")
LISTED = 20
"""Pods that a preview names."""


def add_arguments(parser: Parser) -> None:
    add = parser.add_argument_group("what to do").add_argument
    add("action", nargs="?", type=one_of("weir targets", ACTIONS), metavar="ACTION", default="list",
        help="list, add, remove or preview [list]")
    add("what", nargs="*", metavar="POD", help="pods to add or preview; names of rules to remove")
    add_rule_options(parser, "which pods (add, preview)")
    add = parser.add_argument_group("the rule (add)").add_argument
    add("--name", default="", metavar="NAME", help="what it is called; one of this name is replaced [from its words]")
    add("--for", dest="span", type=seconds, default=0, metavar="TIME", help="gone after 90s, 10m, 2h, 1d [stays]")
    add("--exclude", action="store_true", help="what it selects is never targeted")
    add("-f", "--file", default="", metavar="FILE", help="YAML or JSON with a list of rules, instead of options")
    add = parser.add_argument_group("output").add_argument
    add("-o", "--output", type=one_of("--output", ("text", "json")), metavar="FORMAT", default="text",
        help="text or json [text]")
    add_hub(parser)
    add_common(parser)


def run(args: argparse.Namespace) -> int:
    wishes = _wishes(args)
    told, text = asyncio.run(_do(args, wishes))
    print(json.dumps(told) if args.output == "json" else "\n".join(text))
    return 0


def _wishes(args: argparse.Namespace) -> list[Wish]:
    """The rules that are meant, checked before anybody is asked."""
    typed = {} if args.action == "remove" else wish_of(args, args.what)
    if args.action in ("list", "remove"):
        if typed or args.file:
            raise SettingsError(f"weir targets {args.action} takes no rule", hint="weir targets add|preview does")
        if args.action == "remove" and not args.what:
            raise SettingsError("no rule is named", hint="weir targets remove NAME…; `weir targets list` tells them")
        return []
    if args.file:
        if typed or args.name:
            raise SettingsError("a file and a rule in options", hint="one or the other")
        wishes = read_rules(args.file)
    elif typed:
        wishes = [checked(named(typed | ({"exclude": True} if args.exclude else {}), args.name))]
    else:
        raise SettingsError(
            "nothing is selected", hint=f"weir targets {args.action} POD -n NAMESPACE; for every pod: \".*\""
        )
    if args.action == "preview" and len(wishes) > 1:
        raise SettingsError(f"{args.file} has {len(wishes)} rules", hint="a preview is of one rule")
    return wishes


def read_rules(file: str) -> list[Wish]:
    """Rules of a file: a list, or a mapping with `rules`; all of them are checked."""
    import yaml

    from weir.rules import rule_from_map

    try:
        read = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}", hint="-f FILE with a list of rules") from None
    except (yaml.YAMLError, UnicodeError) as error:
        raise SettingsError(f"{file} is no YAML: {' '.join(str(error).split())[:200]}") from None
    rules = read.get("rules") if isinstance(read, dict) else read
    if not isinstance(rules, list) or not rules:
        raise SettingsError(f"{file} holds no list of rules", hint="for example: - {name: web, pod: 'web-.*'}")
    for number, rule in enumerate(rules):
        if not isinstance(rule, dict):
            raise SettingsError(f"{file}[{number}] is no rule", hint="for example: - {name: web, pod: 'web-.*'}")
        rule_from_map(rule, f"{file}[{number}]")
    return [dict(rule) for rule in rules]


async def _do(args: argparse.Namespace, wishes: list[Wish]) -> tuple[Any, list[str]]:
    async with connect(args) as hub:
        if args.action == "list":
            told = await hub.get(RULES)
            return told, listed(told["rules"])
        if args.action == "preview":
            told = await hub.post(f"{RULES}/preview", wishes[0])
            return told, previewed(told)
        if args.action == "remove":
            return await _remove(hub, args.what)
        states = [await hub.post(RULES, one | {"for_s": args.span, "author": author()}) for one in wishes]
        return {"rules": states}, [line for state in states for line in added(state)]


async def _remove(hub: Hub, names: list[str]) -> tuple[Any, list[str]]:
    gone = [await hub.delete(path_of(name)) for name in names]
    return {"rules": gone}, [f"removed {safe(one['rule']['name'])}" for one in gone]


def listed(states: list[dict[str, Any]]) -> list[str]:
    """Every rule with what it selects now."""
    if not states:
        return ["no rules: connections and DNS only, no payload", "hint: weir targets add POD -n NAMESPACE"]
    rows = [
        (rule["name"], conditions(rule), str(one["pods"]), str(one["nodes"]), _until(one), _by(rule))
        for one in states for rule in [one["rule"]]
    ]
    lines = table(("NAME", "SELECTS", "PODS", "NODES", "UNTIL", "BY"), rows)
    return lines + [f"warning: {safe(one['rule']['name'])}: {safe(text)}" for one in states for text in one["warnings"]]


def added(state: Mapping[str, Any]) -> list[str]:
    """One rule that was made, and what it selects."""
    rule = state["rule"]
    verb = "excludes" if rule.get("exclude") else "selects"
    names = ", ".join(map(safe, state["names"])) + (" …" if state["pods"] > len(state["names"]) else "")
    until = "" if state.get("expires_in_s") is None else f"; it stays for {_until(state)}"
    pods = f"{verb} {state['pods']:,} pods on {state['nodes']:,} nodes" + (f": {names}" if names else "")
    if rule.get("target"):
        pods = f"{verb} {safe(rule['target'])}"
    return [f"rule {safe(rule['name'])} {pods}{until}", *(f"warning: {safe(text)}" for text in state["warnings"])]


def previewed(told: Mapping[str, Any]) -> list[str]:
    """What a rule would select and cost."""
    fresh = f", {told['fresh']:,} of them not targeted yet" if told["pods"] else ""
    lines = [f"{told['pods']:,} pods{fresh}"]
    if told["pods"]:
        shown = told["listed"][:LISTED]
        rows = [(one["pod"], one["node"], one["workload"], f"{one['mb_per_s']:.3f}") for one in shown]
        lines += ["", *table(("POD", "NODE", "WORKLOAD", "MB/s"), rows)]
        if (more := told["pods"] - len(shown)) > 0:
            lines.append(f"… and {more:,} more")
    if told["nodes"]:
        lines += ["", *rates(told["nodes"], "with it, on the bus")]
    if told["over_s"] and told["pods"]:
        lines.append(f"its pods' conversations carry {told['mb_per_s']:g} MB/s, {told['gb_per_day']:g} GB/day "
                     f"(estimated from those that began in the last {_span(told['over_s'])})")
    elif told["pods"]:
        lines.append("how much its pods' conversations carry is not known yet: no flow has been seen")
    return lines + [f"warning: {safe(text)}" for text in told["warnings"]]


def rates(nodes: list[dict[str, Any]], title: str) -> list[str]:
    """MB/s and GB/day by node."""
    if not nodes:
        return []
    rows = [
        (one["node"], f"{one['mb_per_s']:.3f}", f"{one['gb_per_day']:.1f}",
         f"of {one['ceiling_mb_per_s']:g} MB/s" + (" ABOVE" if one["above"] else ""))
        for one in nodes
    ]
    return table((title.upper(), "MB/s", "GB/day", "CEILING"), rows)


def _until(state: Mapping[str, Any]) -> str:
    left = state.get("expires_in_s")
    return "-" if left is None else _span(left)


def _span(left: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if left >= 2 * size:
            return f"{left / size:.0f}{unit}"
    return f"{left:.0f}s"


def _by(rule: Mapping[str, Any]) -> str:
    source = str(rule.get("source", "hub"))
    who = str(rule.get("author") or source)
    return f"{who} ({source}, read-only)" if rule.get("read_only") else who
