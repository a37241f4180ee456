"""Pure: which rules are in force, and the control document that follows from them.

Rules come from the table (people, by way of the hub), from the settings and from a file. Those of the settings and the
file are published to the table, too, read-only, so that everybody sees them; nobody else's rule replaces one of them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal

import msgspec
import yaml

from weir.errors import SettingsError
from weir.model.control import Control, Redaction, Rule
from weir.net.target import parse_target
from weir.rules import Matcher, check_rule, rule_from_map
from weir.targets.settings import TargetsSettings

_replace = msgspec.structs.replace

MAX_RULES = 1000
"""Rules in force; of more, the last ones by name are left out, and that is told."""
FILE_HINT = "the file holds a list of rules, or `rules:` with one; for example: - {name: shop, namespaces: [shop]}"

AUTHORS = {"file": "file", "helm": "Helm values"}
"""Of rules that do not name one, by source."""


class Book(msgspec.Struct, frozen=True, kw_only=True):
    rules: tuple[Rule, ...] = ()
    """In force: those of settings and file in their order, then the others by name."""
    publish: tuple[Rule, ...] = ()
    """What the table lacks."""
    tombstones: tuple[bytes, ...] = ()
    """Keys of what expired, or was read-only and is no longer said."""
    wrong: Mapping[str, str] = {}
    """By name, why a rule of the table is not in force."""
    next_ns: int = 0
    """When the next rule expires, 0 for never."""

    @property
    def targeting(self) -> bool:
        return any(not rule.exclude for rule in self.rules)


Judged = dict[bytes, tuple[Rule, str]]
"""Rules of the table by key, with what is wrong with each: to compile a rule takes longer than all else."""


def effective(table: Mapping[bytes, Any], fixed: Sequence[Rule], now_ns: int, judged: Judged | None = None) -> Book:
    """What is in force now. `fixed` are valid; a rule of the table that is not is left out, and the others stay.
    `judged` is kept from call to call."""
    judged = judged if judged is not None else {}
    live = {rule.name: rule for rule in fixed if not _expired(rule, now_ns)}
    others: dict[str, Rule] = {}
    tombstones, wrong = [], {}
    for key, rule in sorted(table.items()):
        name = key.decode(errors="replace")
        if not isinstance(rule, Rule) or rule.name != name:
            wrong[name] = "what stands on the topic is no rule"
        elif name in live:
            continue
        elif rule.read_only or _expired(rule, now_ns):
            tombstones.append(key)
        else:
            if key not in judged or judged[key][0] is not rule:
                judged[key] = rule, _fault(rule)
            if judged[key][1]:
                wrong[name] = judged[key][1]
            else:
                others[name] = rule
    for key in judged.keys() - table.keys():
        del judged[key]
    for name in list(others)[max(MAX_RULES - len(live), 0) :]:
        wrong[name] = f"more than {MAX_RULES} rules are in force"
        del others[name]
    rules = (*live.values(), *others.values())
    return Book(
        rules=rules,
        publish=tuple(rule for rule in live.values() if table.get(rule.name.encode()) != rule),
        tombstones=tuple(tombstones),
        wrong=wrong,
        next_ns=min((rule.until_ns for rule in rules if rule.until_ns), default=0),
    )


def rules_of_settings(settings: TargetsSettings) -> list[Rule]:
    """The static targets as rules; SettingsError for what is none."""
    return [
        Rule(name=f"static/{number}", target=text, author="settings", source="settings", read_only=True)
        for number, text in enumerate(settings.static)
        if _target(text)
    ]


def rules_of_file(text: str, where: str, source: Literal["file", "helm"] = "file") -> list[Rule]:
    """Rules of a YAML file, read-only; SettingsError with the place for the first one that is wrong."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "unreadable"
        raise SettingsError(f"{where}{place}: no YAML: {problem}", hint=FILE_HINT) from None
    if isinstance(document, Mapping) and set(document) == {"rules"}:
        document = document["rules"]
    if document is None:
        return []
    if not isinstance(document, list):
        raise SettingsError(f"{where}: no list of rules", hint=FILE_HINT)
    found: dict[str, Rule] = {}
    for number, each in enumerate(document):
        rule = rule_from_map(each, f"{where}[{number}]")
        if rule.name in found or rule.name.startswith("static/"):
            raise SettingsError(f"{where}[{number}]: another rule is called {rule.name!r}", hint="give it a new name")
        found[rule.name] = _replace(rule, source=source, read_only=True, author=rule.author or AUTHORS[source])
    return list(found.values())


def control_of(
    settings: TargetsSettings,
    book: Book,
    previous: Control | None,
    random_key: bytes,
    *,
    kubernetes: bool = False,
    pod_ranges: Iterable[str] | None = (),
    own: Iterable[str] = (),
) -> Control:
    """The document in force; its generation rises only if something differs from the previous one.

    `pod_ranges` None: not known now, so those known before stay. `own`: addresses of weir's own stages, whose
    conversations are never payload.
    """
    key = settings.redaction_key.encode() or (previous.redaction.key if previous else b"") or random_key
    targets = [rule for rule in book.rules if rule.target]
    known = pod_ranges if pod_ranges is not None else previous.pod_ranges if previous else ()
    outline = {"on": True, "off": False, "auto": kubernetes or not book.targeting}[settings.outline]
    wanted = Control(
        generation=previous.generation if previous else 1,
        outline=outline,
        targets=list(dict.fromkeys(rule.target for rule in targets if not rule.exclude)),
        excluded=list(dict.fromkeys([*(rule.target for rule in targets if rule.exclude), *own])),
        pods=any(not rule.target and not rule.exclude for rule in book.rules),
        pod_ranges=collapsed([*known, *settings.pod_ranges]),
        labels=list(settings.labels),
        sample_rate=settings.sample_rate,
        bodies=settings.bodies,
        body_limit=settings.body_limit,
        dissectors=list(settings.dissectors),
        redaction=Redaction(
            headers=tuple(h.lower() for h in settings.redact_headers),
            query=tuple(q.lower() for q in settings.redact_query),
            bodies=settings.redact_bodies,
            key=key,
        ),
    )
    if previous is None or wanted == previous:
        return wanted
    return _replace(wanted, generation=previous.generation + 1)


def collapsed(texts: Iterable[str]) -> list[str]:
    """As few networks as stand for all of these, in order; what is no network is passed over."""
    return list(_collapsed(tuple(texts)))


@lru_cache(maxsize=8)
def _collapsed(texts: tuple[str, ...]) -> tuple[str, ...]:
    found: dict[int, list[Any]] = {4: [], 6: []}
    for text in texts:
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError:
            continue
        found[network.version].append(network)
    return tuple(str(each) for version in (4, 6) for each in ipaddress.collapse_addresses(found[version]))


def _expired(rule: Rule, now_ns: int) -> bool:
    return bool(rule.until_ns) and rule.until_ns <= now_ns


def _fault(rule: Rule) -> str:
    """Why it cannot be in force, empty if it can."""
    try:
        check_rule(rule)
        Matcher([rule])
    except SettingsError as error:
        return f"{error.message} ({error.hint})" if error.hint else error.message
    return ""


def _target(text: str) -> bool:
    try:
        parse_target(text)
    except SettingsError as error:
        raise SettingsError(f"targets.static: {error.message}", hint=error.hint) from None
    return True
