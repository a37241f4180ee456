"""What the API answers and takes, as types: the app encodes them and `openapi` describes them."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from weir.archive.api import Statistics
from weir.hub.nodes import NodeRate
from weir.hub.selection import PodRate, RuleState


class EntriesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    entries: list[dict[str, Any]]
    """Newest first, in the contract's form; bytes are base64."""
    next: str | None
    """Cursor of the next page, null at the end."""
    hidden: int
    """Entries in the time of this page that are left out for a tag (`probe`, `service-view`)."""


class StatsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    group_by: list[str]
    bucket_ns: int
    groups: list[Statistics]


class FieldAnswer(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    type: str
    """`str`, `int`, `bool`, `float`, `list` or `dict`."""
    doc: str
    column: str = ""
    """Heading, if lists show it."""
    protocols: list[str]


class FieldsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    fields: list[FieldAnswer]


class RuleWish(msgspec.Struct, frozen=True, kw_only=True):
    """A rule as it is sent. What is left out does not narrow; either `target` is set or something that selects pods."""

    name: str = ""
    """How the rule is called; one of this name is replaced. Not needed for a preview."""
    target: str = ""
    """For what has no pod: `all`, an address, a network, `port:N`, `host:port`."""
    namespaces: list[str] = []
    exclude_namespaces: list[str] = []
    pod: str = ""
    """Regular expression (RE2) that the whole pod name fits."""
    labels: str = ""
    """Label selector, e.g. `app=web,tier in (a, b)`."""
    workload: str = ""
    """`kind/name`, or a name alone."""
    node: str = ""
    service: str = ""
    """`namespace/name`, or a name alone: its backends."""
    port: int = 0
    exclude: bool = False
    author: str = ""
    """Who asks, e.g. `cli user@host`; empty: the program that asks."""
    for_s: float = 0
    """It is gone after so many seconds unless it is renewed; 0: it stays until it is removed."""


class RenewWish(msgspec.Struct, frozen=True, kw_only=True):
    for_s: float = 0
    """It is gone so many seconds from now; 0: it stays until it is removed."""


class RulesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    rules: list[RuleState]


class TargetsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What is targeted now."""

    says: str
    targets: list[str]
    """Addresses, networks and ports."""
    pods: int
    """Pods that are targeted, by however many rules."""
    listed: list[PodRate]
    """The busiest of them."""
    by_rule: dict[str, list[str]]
    """The first pods of each rule, as `namespace/name`."""
    nodes: list[NodeRate]


class ErrorAnswer(msgspec.Struct, frozen=True, kw_only=True):
    error: str
    hint: str = ""
    position: int | msgspec.UnsetType = msgspec.UNSET
    """Where a filter is wrong: characters from its begin."""
    length: int | msgspec.UnsetType = msgspec.UNSET


class CheckAnswer(msgspec.Struct, frozen=True, kw_only=True):
    ok: bool
    error: str = ""
    hint: str = ""
    position: int = 0
    length: int = 0


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """What may stand at the cursor."""

    text: str
    """Replaces the filter from `start` to `end`."""
    kind: Literal["variable", "value", "function", "operator", "macro"]
    doc: str = ""
    count: int = 0
    """Entries with this value, among the newest."""


class CompleteAnswer(msgspec.Struct, frozen=True, kw_only=True):
    start: int
    end: int
    options: list[Option]


class ValueCount(msgspec.Struct, frozen=True, kw_only=True):
    value: str | int
    count: int
    """Entries among the newest."""


class ValuesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    values: list[ValueCount]
    """Most frequent first."""


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """A filter that somebody named and kept."""

    name: str
    text: str
    macro: bool = False
    """Its name may be used in other filters."""
    author: str = ""
    updated_ns: int = 0


class SavedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    saved: list[Saved]
    """By name."""


class SavedWish(msgspec.Struct, frozen=True, kw_only=True):
    text: str
    macro: bool = False
    author: str = ""
    """Who asks; empty: the program that asks."""


class SettingShown(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    value: str
    """As it is written; `***` for a secret."""
    default: str
    doc: str
    source: str
    """`default`, `file …`, `environment …`, `flag …`."""


class SettingsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    settings: list[SettingShown]
    """Of the process that answers."""
