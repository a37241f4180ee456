"""What people ask to see, and what is known of it: the tables of rules and endpoints, the archive's statistics, and the
answers that `selection` and `why` make of them. Writes `rules`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from weir.archive.api import Archive, Statistics
from weir.bus.api import Record, Table
from weir.bus.topics import RULES
from weir.errors import ArchiveError, HubError, SettingsError
from weir.hub import why as reasons
from weir.hub.answers import RenewWish, RuleWish, TargetsAnswer
from weir.hub.health import Targeted, is_up
from weir.hub.nodes import mb, node_rates
from weir.hub.pods import targeted_now
from weir.hub.selection import (
    FIRST,
    FLOW_GROUPS,
    MAX_PODS,
    Names,
    Narrowing,
    Picture,
    PodRate,
    Preview,
    RuleState,
    flow_rates,
    picture,
    preview,
    rule_states,
)
from weir.hub.settings import HubSettings
from weir.model.control import Control, Rule
from weir.model.entry import EntryMap
from weir.model.health import Heartbeat
from weir.query.structured import Query, QueryError
from weir.rules import rule_from_map
from weir.runtime.service import Context

MAX_AUTHOR = 128
MAX_LEASE_S = 30 * 86_400.0
WINDOWS_S = (300.0, 3600.0)
"""Flows that began within these times are looked at; the higher rate counts, so that a long conversation is not
overlooked, and a new one is not thinned."""
SEEN_S = 600
"""How far `why` looks back."""
RATES_AGE_S = 5.0
"""So long an answer of the archive about rates is good for."""
NARROW_AGE_S = 0.5
"""So long a tail goes on with what a rule selected before it looks again."""
LINGER_NS = 60 * 10**9
"""A pod that has ended still belongs to what is followed for so long: its entries come a little later than its end."""
VISIBLE_S = 5.0
"""Until what was written can be read again."""

_WISH = frozenset(RuleWish.__struct_fields__)


class ReadOnly(HubError):
    """A rule that comes from elsewhere was to be changed."""


class Tables(msgspec.Struct, frozen=True):
    """What is read, as it is now."""

    health: Table
    control: Table
    rules: Table
    endpoints: Table


class Wishes:
    def __init__(self, settings: HubSettings, context: Context, archive: Archive, tables: Tables) -> None:
        self._settings = settings
        self._context = context
        self._archive = archive
        self._tables = tables
        self._picture: tuple[int, Picture] | None = None
        self._rates: tuple[float, dict[Names, float], float] | None = None

    # What is known.

    def rules(self) -> list[Rule]:
        """Those in force, by name."""
        now = self._context.clock.now_ns()
        found = [rule for _, rule in self._tables.rules.items() if isinstance(rule, Rule)]
        return sorted((one for one in found if not one.until_ns or one.until_ns > now), key=lambda one: one.name)

    def control(self) -> Control | None:
        document: Control | None = self._tables.control.get(self._context.instance.encode())
        return document

    def beats(self) -> list[Heartbeat]:
        """Of processes that are up."""
        now = self._context.clock.now_ns()
        return [beat for _, beat in self._tables.health.items() if is_up(beat, now)]

    def picture(self) -> Picture:
        endpoints = self._tables.endpoints
        if self._picture is None or self._picture[0] != endpoints.version:
            self._picture = endpoints.version, picture(record for _, record in endpoints.items())
        return self._picture[1]

    def targeted(self) -> Targeted:
        return targeted_now(self.picture().pods)

    def states(self) -> list[RuleState]:
        return rule_states(self.rules(), self.picture(), self._context.clock.now_ns())

    def _rule(self, name: str) -> Rule | None:
        return next((rule for rule in self.rules() if rule.name == name), None)

    def _state(self, rule: Rule) -> RuleState:
        return rule_states([rule], self.picture(), self._context.clock.now_ns())[0]

    # What is asked for.

    async def put(self, body: Any, agent: str) -> RuleState:
        """Make or replace the rule that a request's body describes; `agent` is the program that asks."""
        wish = _map(body)
        for_s = _seconds(wish.pop("for_s", 0))
        rule = self._owned(rule_from_map(_known(wish), "rule"), wish, agent, for_s)
        self._refuse_read_only(self._rule(rule.name))
        if self._rule(rule.name) is None and len(self.rules()) >= self._settings.max_rules:
            raise QueryError(f"there are {self._settings.max_rules} rules", hint="remove some: `weir targets list`")
        await self._publish(rule.name, rule)
        return self._state(rule)

    def _owned(self, rule: Rule, wish: Mapping[str, Any], agent: str, for_s: float) -> Rule:
        author = str(wish.get("author", "")) or agent
        author = "".join(c for c in author if c.isprintable())[:MAX_AUTHOR]
        now = self._context.clock.now_ns()
        return msgspec.structs.replace(
            rule, author=author, source="cli" if author.startswith("cli ") else "hub", since_ns=now,
            until_ns=now + int(for_s * 1e9) if for_s else 0, read_only=False,
        )

    async def renew(self, name: str, body: Any) -> RuleState | None:
        """Let it stay for longer; None if there is no such rule."""
        wish = _map(body)
        if unknown := set(wish) - set(RenewWish.__struct_fields__):
            raise QueryError(f"{sorted(unknown)[0]!r} is not known here", hint="for_s: seconds from now, or 0")
        for_s = _seconds(wish.get("for_s", 0))
        rule = self._rule(name)
        if rule is None:
            return None
        self._refuse_read_only(rule)
        until = self._context.clock.now_ns() + int(for_s * 1e9) if for_s else 0
        rule = msgspec.structs.replace(rule, until_ns=until)
        await self._publish(name, rule)
        return self._state(rule)

    async def remove(self, name: str) -> RuleState | None:
        """What it was; None if there is no such rule."""
        rule = self._rule(name)
        if rule is None:
            return None
        self._refuse_read_only(rule)
        state = self._state(rule)
        await self._publish(name, None)
        return state

    def _refuse_read_only(self, rule: Rule | None) -> None:
        if rule is not None and rule.read_only:
            place = {"helm": "the Helm values", "file": "its file"}.get(rule.source, "the settings of `targets`")
            raise ReadOnly(f"rule {rule.name} is read-only: it comes from {place}", hint=f"change it in {place}")

    async def _publish(self, name: str, rule: Rule | None) -> None:
        """Done when it can be read again, so that whoever asks next is told of it."""
        table, key = self._tables.rules, name.encode()
        await self._context.bus.publish(RULES, [Record(key, rule)])
        await self._context.bus.flush()
        try:
            async with asyncio.timeout(VISIBLE_S):
                version = table.version
                while table.get(key) != rule:
                    version = await table.changed(version)
        except TimeoutError:
            pass

    # What it means.

    async def preview(self, body: Any) -> Preview:
        wish = _map(body)
        wish.pop("for_s", None)
        rule = rule_from_map({"name": "preview"} | {k: v for k, v in _known(wish).items() if v != ""}, "rule")
        rates, over_s = await self._flow_rates()
        ceiling = self._settings.node_ceiling_bytes
        return preview(rule, self.picture(), rates, over_s, node_rates(self.beats(), ceiling), ceiling)

    async def targets(self, says: str) -> TargetsAnswer:
        rates, _ = await self._flow_rates()
        wanted = [pod for pod in self.picture().pods if pod.targeted]
        listed = [
            PodRate(pod=str(pod), node=pod.node, workload=pod.workload, targeted=True,
                    mb_per_s=mb(rates.get((pod.namespace, pod.name), 0.0)))
            for pod in wanted
        ]
        listed.sort(key=lambda one: (-one.mb_per_s, one.pod))
        by_rule: dict[str, list[str]] = {}
        for pod in wanted:
            for rule in pod.rules:
                by_rule.setdefault(rule, []).append(str(pod))
        control = self.control()
        return TargetsAnswer(
            says=says, targets=list(control.targets) if control is not None else [], pods=len(wanted),
            listed=listed[:MAX_PODS], by_rule={name: pods[:FIRST] for name, pods in sorted(by_rule.items())},
            nodes=node_rates(self.beats(), self._settings.node_ceiling_bytes),
        )

    async def why(self, text: str) -> reasons.Why:
        namespace, name = self._pod_named(text)
        query = Query(
            names=(name,), namespaces=(namespace,), since_ns=self._context.clock.now_ns() - SEEN_S * 10**9,
        )
        groups = await self._statistics(query, reasons.GROUPS)
        everything = await self._statistics(msgspec.structs.replace(query, hidden=True), reasons.GROUPS)
        total = sum(one.entries for one in everything if reasons.is_of(one, namespace, name))
        return reasons.why(reasons.Situation(
            namespace=namespace, name=name, records=[record for _, record in self._tables.endpoints.items()],
            rules=self.rules(), control=self.control(), beats=self.beats(),
            seen=reasons.seen_of(groups, namespace, name, SEEN_S, total),
        ))

    def _pod_named(self, text: str) -> Names:
        namespace, slash, name = text.partition("/")
        if slash and namespace and name and len(text) < 512:
            return namespace, name
        same = [pod for pod in self.picture().pods if pod.name == text]
        if len(same) == 1:
            return same[0].namespace, text
        hint = f"there are {', '.join(map(str, same[:FIRST]))}" if same else "write NAMESPACE/NAME"
        raise QueryError(f"pod = {text!r:.200}: in which namespace?", hint=hint)

    async def _statistics(self, query: Query, group_by: Sequence[str]) -> Iterable[Statistics]:
        return await self._archive.statistics(query, group_by=group_by, limit=10_000)

    async def _flow_rates(self) -> tuple[dict[Names, float], float]:
        """Bytes a second by pod, and over how many seconds; nothing where the archive cannot be asked."""
        clock = self._context.clock
        if self._rates is not None and clock.monotonic() - self._rates[0] < RATES_AGE_S:
            return self._rates[1:]
        now = clock.now_ns()
        begun = [beat.started_ns for beat in self.beats() if "capture" in beat.stages]
        age_s = max((now - min(begun, default=now - int(WINDOWS_S[0] * 1e9))) / 1e9, 1.0)
        rates: dict[Names, float] = {}
        over_s = 0.0
        try:
            for window_s in WINDOWS_S:
                query = Query(kinds=("flow",), since_ns=now - int(window_s * 1e9))
                seconds = min(window_s, age_s)
                found = flow_rates(await self._statistics(query, FLOW_GROUPS), seconds)
                over_s = over_s or (seconds if found else 0.0)
                for names, rate in found.items():
                    rates[names] = max(rate, rates.get(names, 0.0))
        except ArchiveError:
            return {}, 0.0
        if rates:
            self._rates = clock.monotonic(), rates, over_s
        return rates, over_s

    # What is followed.

    def narrowing(self, name: str) -> Callable[[EntryMap], bool]:
        """Whether an entry belongs to what the rule selects at that moment; QueryError if there is no such rule."""
        if self._rule(name) is None:
            raise QueryError(f"there is no rule {name!r:.200}", hint="`weir targets list` tells which there are")
        clock, tables = self._context.clock, self._tables
        made: Narrowing | None = None
        versions, at = (-1, -1), 0.0

        def wants(entry: EntryMap) -> bool:
            nonlocal made, versions, at
            now, current = clock.monotonic(), (tables.rules.version, tables.endpoints.version)
            if made is None or (current != versions and now - at >= NARROW_AGE_S):
                lately = clock.now_ns() - LINGER_NS
                made = Narrowing(self._rule(name), picture((one for _, one in tables.endpoints.items()), lately))
                versions, at = current, now
            return made.wants(entry)

        return wants


def _map(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise QueryError("the body is no JSON object", hint='for example {"name": "web", "pod": "web-.*"}')
    return dict(body)


def _known(wish: Mapping[str, Any]) -> dict[str, Any]:
    """Without what a client does not decide."""
    if unknown := [name for name in wish if name not in _WISH]:
        hint = f"fields are {', '.join(sorted(_WISH))}"
        raise SettingsError(f"rule: {unknown[0]!r:.80} is no field of a rule", hint=hint)
    return {name: value for name, value in wish.items() if name != "author"}


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_LEASE_S:
        hint = f"0 to {MAX_LEASE_S:.0f}; 0: for good"
        raise QueryError(f"for_s = {value!r:.80} is not a number of seconds", hint=hint)
    return float(value)
