from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weir.errors import SettingsError
from weir.model.control import Rule
from weir.rules import check_rule, rule_from_map
from weir.rules.check import MAX_LIST, MAX_TEXT, split_workload


@pytest.mark.parametrize(
    "fields",
    [
        {"target": "all"},
        {"target": "10.0.0.0/8", "exclude": True},
        {"namespaces": ["prod", "stage"], "pod": "checkout.*"},
        {"labels": "app=web,!canary", "port": 8080},
        {"workload": "deploy/checkout"},
        {"workload": "checkout"},
        {"service": "prod/checkout"},
        {"node": "ip-10-0-0-1.eu-west-1.compute.internal"},
        {"pod": ".*"},
    ],
)
def test_these_are_rules(fields: dict[str, Any]) -> None:
    check_rule(Rule(name="r", **fields))


@pytest.mark.parametrize(
    ("fields", "says", "hint"),
    [
        ({}, "nothing is selected", "pod: '.*'"),
        ({"exclude": True}, "nothing is selected", "target: all"),
        ({"target": "all", "pod": "x"}, "target together with pod", "two rules"),
        ({"target": "prot:80"}, "not a target", "port:80"),
        ({"pod": "a(b"}, "missing )", "RE2"),
        ({"pod": "web-(?=x)"}, "character 5: invalid perl operator: (?=", "look-ahead"),
        ({"pod": "x{1001}{1001}"}, "x{1001}", "RE2"),
        ({"labels": "=x"}, "labels: label selector '=x', character 1", "app=web"),
        ({"workload": "deplyoment/x"}, "unknown kind 'deplyoment'", "did you mean deployment?"),
        ({"workload": "zebra/x"}, "unknown kind 'zebra'", "the name alone"),
        ({"workload": "deployment/"}, "cannot be a name", "small letters"),
        ({"namespaces": ["Prod"]}, "namespaces: 'Prod'", "small letters"),
        ({"exclude_namespaces": ["kube-.*"]}, "exclude_namespaces: 'kube-.*'", "only pod is a regular expression"),
        ({"service": "a/b/c"}, "service: 'a/b'", "small letters"),
        ({"pod": "x", "port": 70000}, "port = 70000", "1 to 65535"),
        ({"pod": "x" * (MAX_TEXT + 1)}, "pod has 1025 characters", "at most"),
        ({"namespaces": ["a"] * (MAX_LIST + 1)}, "namespaces has 257 items", "split"),
    ],
)
def test_a_wrong_rule_is_told(fields: dict[str, Any], says: str, hint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        check_rule(Rule(name="shop", **fields))
    assert caught.value.message.startswith("rule 'shop'") or "not a target" in says
    assert says in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize("name", ["", "-x", "x y", "x\n", "ü", "x/", "x" * 129])
def test_a_name_has_an_alphabet(name: str) -> None:
    with pytest.raises(SettingsError, match="not a name for a rule"):
        check_rule(Rule(name=name, pod=".*"))


def test_a_map_becomes_a_rule() -> None:
    rule = rule_from_map({"name": "shop", "namespaces": ["shop"], "port": 80, "t": "rule", "v": 1}, "rules.yaml[0]")
    assert rule == Rule(name="shop", namespaces=["shop"], port=80)


@pytest.mark.parametrize(
    ("mapping", "says", "hint"),
    [
        ({"name": "r", "namespace": "x"}, "rules[3]: 'namespace' is no field", "did you mean namespaces?"),
        ({"name": "r", "colour": "x"}, "'colour' is no field", "fields are name"),
        ({"name": "r", "namespaces": "shop"}, "rules[3].namespaces = 'shop'", "namespaces: [shop]"),
        ({"name": "r", "labels": {"app": "web"}}, "rules[3].labels", "labels: app=web"),
        ({"name": "r", "port": "80"}, "rules[3].port = '80'", "a whole number"),
        ({"name": "r", "exclude": "yes"}, "rules[3].exclude = 'yes'", "true or false"),
        ({"name": "r", "source": "mars"}, "rules[3].source = 'mars'", ""),
        ({"pod": "x"}, "rules[3]: a rule without a name", "name:"),
        ({"name": "r", "pod": "("}, "rules[3]: rule 'r': pod = '('", "RE2"),
        ("shop", "rules[3]: not a rule", "mapping"),
        (None, "rules[3]: not a rule", "mapping"),
    ],
)
def test_a_wrong_map_is_told_with_its_place(mapping: Any, says: str, hint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        rule_from_map(mapping, "rules[3]")
    assert says in caught.value.message
    assert hint in caught.value.hint


def test_kinds_have_short_names() -> None:
    assert split_workload("sts/db") == split_workload("StatefulSet/db") == ("statefulset", "db")
    assert split_workload("db") == ("", "db")
    assert split_workload("") == ("", "")


@given(
    st.dictionaries(
        st.sampled_from([*Rule.__struct_fields__, "x"]) | st.integers(),
        st.none() | st.text(max_size=5) | st.integers() | st.lists(st.text(max_size=3), max_size=2) | st.booleans(),
        max_size=4,
    )
)
def test_any_map_is_a_rule_or_an_error(mapping: dict[Any, Any]) -> None:
    with contextlib.suppress(SettingsError):
        check_rule(rule_from_map({"name": "r", **mapping}, "here"))
