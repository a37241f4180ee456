"""Rules as they are typed: the options of `weir targets add` and `weir tap`, made into what the hub takes."""

from __future__ import annotations

import argparse
import getpass
import hashlib
import re
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from weir.cli.args import Parser
from weir.errors import SettingsError

RULES = "/api/v1/rules"
_AGE = re.compile(r"(\d{1,6})(s|m|h|d)\Z", re.ASCII)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
MAX_FOR_S = 30 * 86400

Wish = dict[str, Any]


def add_rule_options(parser: Parser, title: str) -> None:
    """Conditions of one rule: all of them have to hold."""
    add = parser.add_argument_group(title).add_argument
    add("-n", "--namespace", action="append", default=[], metavar="NS", help="pods of this namespace (may be repeated)")
    add("--exclude-namespace", action="append", default=[], metavar="NS", help="but not of this one (may be repeated)")
    add("-l", "--selector", default="", metavar="LABELS", help="pods with these labels: app=web,tier in (a, b),!canary")
    add("--workload", default="", metavar="W", help="pods of this workload: deployment/checkout, or checkout")
    add("--node", default="", metavar="N", help="pods on this node")
    add("--service", default="", metavar="S", help="pods behind this service: NAMESPACE/NAME, or NAME")
    add("--port", type=_port, default=0, metavar="P", help="only this port of the pods")
    add("--ip", default="", metavar="T",
        help="what has no pod: an address, a network, port:N, host:port, or all; goes with none of the others")


def wish_of(args: argparse.Namespace, pods: list[str]) -> Wish:
    """The rule that was typed, without a name; empty if nothing of a rule was."""
    fields: Wish = {
        "pod": pods[0] if len(pods) == 1 else "|".join(f"(?:{one})" for one in pods),
        "namespaces": args.namespace, "exclude_namespaces": args.exclude_namespace, "labels": args.selector,
        "workload": args.workload, "node": args.node, "service": args.service, "port": args.port, "target": args.ip,
    }
    return {name: value for name, value in fields.items() if value}


def named(wish: Wish, name: str = "") -> Wish:
    """The rule with its name: the given one, else one that the same words give again."""
    if not name:
        words = "-".join(str(wish[key]) for key in ("pod", "workload", "service", "target", "node") if key in wish)
        slug = re.sub(r"[^A-Za-z0-9]+", "-", words or "-".join(wish.get("namespaces", []))).strip("-")[:40].strip("-")
        digest = hashlib.blake2b(msgspec.json.encode(wish, order="sorted"), digest_size=2).hexdigest()
        name = f"{slug or 'rule'}-{digest}"
    return {"name": name} | wish


def checked(wish: Wish) -> Wish:
    """The rule, if the hub would take it: what is wrong with it is told before anybody is asked."""
    from weir.rules import rule_from_map

    rule_from_map(wish, "this rule")
    return wish


def author() -> str:
    """Who asks, for others who see the rule."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "somebody"
    return f"cli {user}@{socket.gethostname()}"


def path_of(name: str) -> str:
    """A rule's path in the hub's API."""
    return f"{RULES}/{quote(name, safe='')}"


def seconds(text: str) -> int:
    """`90s`, `10m`, `2h`, `1d`."""
    found = _AGE.match(text)
    value = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 0 < value <= MAX_FOR_S:
        raise SettingsError(f"--for {text!r} is no time span", hint="for example 90s, 10m, 2h, 1d; at most 30d")
    return value


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) < 65536:
        return int(text)
    raise SettingsError(f"--port {text!r} is no port", hint="1 to 65535")


def conditions(rule: Mapping[str, Any]) -> str:
    """A rule's conditions in words, for a table."""
    if rule.get("target"):
        parts = [str(rule["target"])]
    else:
        parts = [str(rule["pod"])] if rule.get("pod") else []
        parts += [f"-n {name}" for name in rule.get("namespaces", [])]
        parts += [f"not -n {name}" for name in rule.get("exclude_namespaces", [])]
        shown = (("labels", "-l"), ("workload", "--workload"), ("node", "--node"), ("service", "--service"),
                 ("port", "--port"))
        parts += [f"{flag} {rule[name]}" for name, flag in shown if rule.get(name)]
    return ("NOT " if rule.get("exclude") else "") + " ".join(parts)
