"""Which pods a set of rules targets: compiled once, asked for each pod that changes.

A rule's fields narrow it (namespace, excluded namespace, name, labels, workload, node, service); rules add up, and a
rule with `exclude` wins over all others. Rules with `target` select no pods: whoever compiles `Control` has them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from weir.model.control import EndpointRecord, Rule
from weir.rules.check import compile_pattern, split_workload
from weir.rules.labels import parse_selector

Test = Callable[[EndpointRecord], bool]

MAX_REMEMBERED = 32_768
"""Pod names whose answer a pattern remembers: RE2 is called from Python at about 4 µs."""
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


class Matcher:
    """Compiled rules. Rules have to be valid (`weir.rules.check.check_rule`): what is none raises SettingsError."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules: tuple[Rule, ...] = tuple(rules)
        compiled = [(rule, _compile(rule)) for rule in self.rules if not rule.target]
        self._wanted = [(rule, test) for rule, test in compiled if not rule.exclude]
        self._excluded = [(rule, test) for rule, test in compiled if rule.exclude]
        self._tests = {rule.name: test for rule, test in compiled}
        self._ported = [(rule, test) for rule, test in compiled if rule.port]

    @property
    def pods(self) -> bool:
        """Some rule targets pods."""
        return bool(self._wanted)

    def match(self, record: EndpointRecord) -> tuple[str, ...]:
        """Names of the rules that target this pod, empty if one excludes it.

        Rules for a port count only for a record of that port; rules without one count for every record.
        """
        names = tuple(rule.name for rule, test in self._wanted if rule.port in (0, record.port) and test(record))
        if names and self.excluded_by(record):
            return ()
        return names

    def excluded_by(self, record: EndpointRecord) -> tuple[str, ...]:
        """Names of the rules that keep this pod from being targeted."""
        return tuple(rule.name for rule, test in self._excluded if rule.port in (0, record.port) and test(record))

    def ports(self, record: EndpointRecord) -> tuple[int, ...]:
        """Ports for which rules say something of their own about this pod, in order."""
        if not self._ported:
            return ()
        return tuple(sorted({rule.port for rule, test in self._ported if test(record)}))

    def selected(self, rule: Rule | str, pods: Iterable[EndpointRecord]) -> list[EndpointRecord]:
        """Those of the pods that one rule (of this set, or its name) fits, whatever the others and its port say."""
        test = self._tests.get(rule if isinstance(rule, str) else rule.name)
        return [] if test is None else [pod for pod in pods if test(pod)]

    def warnings(self, pods: Iterable[EndpointRecord], namespaces: Collection[str] | None) -> dict[str, str]:
        """By rule name, what a person should know of a rule that is valid: it names a namespace that does not exist
        (if `namespaces` are known), selects nothing, or selects everything."""
        everyone = list(pods)
        found: dict[str, str] = {}
        for rule in self.rules:
            warning = _warning(rule, self._tests.get(rule.name), everyone, namespaces)
            if warning:
                found[rule.name] = warning
        return found


def _warning(
    rule: Rule, test: Test | None, pods: Sequence[EndpointRecord], namespaces: Collection[str] | None
) -> str:
    if test is None:
        return "targets all traffic" if rule.target.strip().lower() == "all" and not rule.exclude else ""
    if namespaces is not None:
        missing = [name for name in (*rule.namespaces, *rule.exclude_namespaces) if name not in namespaces]
        if missing:
            return f"no such namespace: {', '.join(missing)}"
    uids = {pod.uid for pod in pods}
    selected = {pod.uid for pod in pods if test(pod)}
    verb = "excludes" if rule.exclude else "selects"
    if not selected:
        return f"{verb} no pod"
    if len(selected) == len(uids) and len(uids) > 1:
        return f"{verb} every pod ({len(uids)})"
    return ""


def _compile(rule: Rule) -> Test:
    """All tests of a rule in one, the cheapest first."""
    tests = [test for test in (_namespaces(rule), _node(rule), _workload(rule), _service(rule)) if test]
    if rule.labels:
        selector = parse_selector(rule.labels)
        tests.append(lambda record: selector.holds(record.labels))
    if rule.pod:
        fits = _pattern(rule)
        tests.append(lambda record: fits(pod_name(record)))
    if len(tests) == 1:
        return tests[0]
    together = tuple(tests)
    return lambda record: all(test(record) for test in together)


def pod_name(record: EndpointRecord) -> str:
    return record.pod.name if record.pod is not None else record.name


def _namespaces(rule: Rule) -> Test | None:
    wanted, unwanted = frozenset(rule.namespaces), frozenset(rule.exclude_namespaces)
    if wanted:
        wanted -= unwanted
        return lambda record: record.namespace in wanted
    if unwanted:
        return lambda record: record.namespace not in unwanted
    return None


def _node(rule: Rule) -> Test | None:
    node = rule.node
    return (lambda record: record.node == node) if node else None


def _workload(rule: Rule) -> Test | None:
    kind, name = split_workload(rule.workload)
    if not name:
        return None
    if kind:
        whole = f"{kind}/{name}"
        return lambda record: record.workload == whole
    return lambda record: record.workload.rpartition("/")[2] == name


def _service(rule: Rule) -> Test | None:
    service = rule.service
    if not service:
        return None
    if "/" in service:
        return lambda record: service in record.services
    ending = "/" + service
    return lambda record: any(name.endswith(ending) for name in record.services)


def _pattern(rule: Rule) -> Callable[[str], bool]:
    """A plain name, a plain beginning with `.*`, or else RE2 with what it said remembered."""
    text = rule.pod
    if text == ".*":
        return lambda name: True
    if _PLAIN.issuperset(text):
        return lambda name: name == text
    if text.endswith(".*") and _PLAIN.issuperset(text[:-2]):
        beginning = text[:-2]
        return lambda name: name.startswith(beginning)
    return _Remembering(compile_pattern(text, f"rule {rule.name!r}")).fits


class _Remembering:
    def __init__(self, pattern: Any) -> None:
        self._pattern = pattern
        self._known: dict[str, bool] = {}

    def fits(self, name: str) -> bool:
        known = self._known.get(name)
        if known is None:
            if len(self._known) >= MAX_REMEMBERED:
                self._known.clear()
            known = self._known[name] = self._pattern.fullmatch(name) is not None
        return known
