"""What is a valid rule, and rules from mappings (JSON bodies, YAML files), with errors that people can act on."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any, get_type_hints

import msgspec
import re2

from weir.errors import SettingsError
from weir.model.control import Rule
from weir.net.target import parse_target
from weir.rules.labels import parse_selector

MAX_NAME = 128
MAX_TEXT = 1024
"""Characters of a text that a rule holds."""
MAX_LIST = 256
"""Namespaces that a rule names."""
MAX_PROGRAM_BYTES = 1 << 20
"""Memory that RE2 may use for one pattern."""

POD_FIELDS = ("namespaces", "exclude_namespaces", "pod", "labels", "workload", "node", "service", "port")
"""What selects pods; not together with `target`."""
KINDS: dict[str, str] = {
    "deployment": "deployment", "deployments": "deployment", "deploy": "deployment",
    "statefulset": "statefulset", "statefulsets": "statefulset", "sts": "statefulset",
    "daemonset": "daemonset", "daemonsets": "daemonset", "ds": "daemonset",
    "replicaset": "replicaset", "replicasets": "replicaset", "rs": "replicaset",
    "replicationcontroller": "replicationcontroller", "rc": "replicationcontroller",
    "job": "job", "jobs": "job",
    "cronjob": "cronjob", "cronjobs": "cronjob", "cj": "cronjob",
    "rollout": "rollout", "rollouts": "rollout",
    "pod": "pod", "pods": "pod",
}
"""Kinds of workloads as people write them, and as `EndpointRecord.workload` has them."""

_NAME = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9._/:@+]*[A-Za-z0-9])?")
_OBJECT = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?")
"""Names of Kubernetes objects (RFC 1123 subdomains, the widest of them)."""


def check_rule(rule: Rule) -> None:
    """Raise SettingsError, with the rule's name, the field and a hint, if the rule cannot be put in force."""
    where = f"rule {rule.name!r}"
    _check_name(rule.name)
    _check_sizes(rule, where)
    pods = [name for name in POD_FIELDS if getattr(rule, name)]
    if rule.target and pods:
        raise SettingsError(
            f"{where}: target together with {', '.join(pods)}",
            hint="target is for what has no pod; write two rules, they add up",
        )
    if rule.target:
        parse_target(rule.target)
        return
    if not pods:
        raise SettingsError(
            f"{where}: nothing is selected", hint="for every pod write pod: '.*'; for all traffic target: all"
        )
    _check_names(rule, where)
    if rule.pod:
        compile_pattern(rule.pod, where)
    if rule.labels:
        _at(where, "labels", rule.labels)
    split_workload(rule.workload, where)
    if not 0 <= rule.port < 65536:
        raise SettingsError(f"{where}: port = {rule.port} is no port", hint="1 to 65535, or 0 for every port")


def rule_from_map(mapping: Mapping[str, Any], where: str) -> Rule:
    """A checked rule from a mapping with the fields of `Rule`; `where` is the place for errors ("rules.yaml[3]").

    Who calls it decides what `source`, `author` and `read_only` are in the end.
    """
    types = get_type_hints(Rule)
    known = [name for name in Rule.__struct_fields__ if name != "v"]
    values: dict[str, Any] = {}
    if not isinstance(mapping, Mapping):
        raise SettingsError(
            f"{where}: not a rule: {mapping!r:.80}", hint="a rule is a mapping such as {name: web, pod: 'web-.*'}"
        )
    for name, value in mapping.items():
        if name in ("v", "t"):
            continue
        if name not in known:
            raise SettingsError(f"{where}: {name!r} is no field of a rule", hint=_nearest(str(name), known))
        try:
            values[name] = msgspec.convert(value, types[name])
        except msgspec.ValidationError as error:
            raise SettingsError(
                f"{where}.{name} = {value!r:.80}: {str(error).split(' - ')[0]}", hint=_wanted(name, value)
            ) from None
    if not values.get("name"):
        raise SettingsError(f"{where}: a rule without a name", hint="name: says what the rule is called everywhere")
    rule = Rule(**values)
    try:
        check_rule(rule)
    except SettingsError as error:
        raise SettingsError(f"{where}: {error.message}", hint=error.hint) from None
    return rule


def compile_pattern(pattern: str, where: str) -> Any:
    """A compiled RE2 pattern; SettingsError with the place in the pattern where RE2 names one."""
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = MAX_PROGRAM_BYTES
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        told = error.args[0]
        message = told.decode(errors="replace") if isinstance(told, bytes) else str(told)
        _, _, part = message.rpartition(": ")
        at = pattern.find(part) if part and part != pattern else -1
        place = f", character {at + 1}" if at >= 0 else ""
        raise SettingsError(
            f"{where}: pod = {pattern!r} is no regular expression{place}: {message}",
            hint="RE2 syntax, fitting the whole pod name; there is no look-ahead and no back-reference",
        ) from None


def split_workload(text: str, where: str = "workload") -> tuple[str, str]:
    """Kind (canonical, empty for any) and name."""
    kind, slash, name = text.rpartition("/")
    if not text:
        return "", ""
    canonical = KINDS.get(kind.lower(), "")
    if slash and not canonical:
        near = difflib.get_close_matches(kind.lower(), KINDS, n=1, cutoff=0.5)
        meant = f"did you mean {KINDS[near[0]]}? " if near else ""
        raise SettingsError(
            f"{where}: workload = {text!r}: unknown kind {kind!r}",
            hint=f"{meant}kinds are {', '.join(sorted(set(KINDS.values())))}; for any other write the name alone",
        )
    _check_object(name, "workload", where)
    return canonical, name


def _check_name(name: str) -> None:
    if len(name) > MAX_NAME or not _NAME.fullmatch(name):
        raise SettingsError(
            f"rule {name!r:.140}: not a name for a rule",
            hint=f"letters, digits and -._/:@+, at most {MAX_NAME}, with a letter or digit at both ends",
        )


def _check_sizes(rule: Rule, where: str) -> None:
    for name in Rule.__struct_fields__:
        value = getattr(rule, name)
        if isinstance(value, list) and len(value) > MAX_LIST:
            raise SettingsError(f"{where}: {name} has {len(value)} items", hint=f"at most {MAX_LIST}; split the rule")
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and len(text) > MAX_TEXT:
                raise SettingsError(f"{where}: {name} has {len(text)} characters", hint=f"at most {MAX_TEXT}")


def _check_names(rule: Rule, where: str) -> None:
    for field in ("namespaces", "exclude_namespaces"):
        for namespace in getattr(rule, field):
            _check_object(namespace, field, where)
    if rule.node:
        _check_object(rule.node, "node", where)
    if rule.service:
        namespace, slash, name = rule.service.rpartition("/")
        _check_object(name, "service", where)
        if slash:
            _check_object(namespace, "service", where)


def _check_object(name: str, field: str, where: str) -> None:
    if not _OBJECT.fullmatch(name):
        raise SettingsError(
            f"{where}: {field}: {name!r:.80} cannot be a name in Kubernetes",
            hint="small letters, digits, - and .; only pod is a regular expression",
        )


def _at(where: str, field: str, text: str) -> None:
    try:
        parse_selector(text)
    except SettingsError as error:
        raise SettingsError(f"{where}: {field}: {error.message}", hint=error.hint) from None


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else f"fields are {', '.join(known)}"


def _wanted(name: str, value: Any) -> str:
    if isinstance(value, str) and name in ("namespaces", "exclude_namespaces"):
        return f"write a list: {name}: [{value}]"
    if isinstance(value, Mapping) and name == "labels":
        return "write a selector: labels: " + ",".join(f"{key}={each}" for key, each in value.items())
    kinds = {str: "a text", int: "a whole number", bool: "true or false"}
    return f"{name} takes {kinds.get(get_type_hints(Rule)[name], 'a list of texts')}"
