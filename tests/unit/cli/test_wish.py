from __future__ import annotations

import argparse
from typing import Any

import pytest

from weir.cli.args import Parser
from weir.cli.wish import add_rule_options, checked, conditions, named, path_of, seconds, wish_of
from weir.errors import SettingsError


def typed(*words: str) -> argparse.Namespace:
    parser = Parser("try", "usage", "", words)
    parser.add_argument("pod", nargs="*")
    add_rule_options(parser, "which")
    return parser.parse()


def wish(*words: str) -> dict[str, Any]:
    args = typed(*words)
    return wish_of(args, args.pod)


def test_options_become_a_rule_in_any_order() -> None:
    assert wish() == {}
    expected = {"pod": "web.*", "namespaces": ["a", "b"], "labels": "app=web"}
    assert wish("web.*", "-n", "a", "-n", "b", "-l", "app=web") == expected
    assert wish("-n", "a", "-n", "b", "web.*", "-l", "app=web") == expected
    assert wish("a.*", "-n", "x", "b")["pod"] == "(?:a.*)|(?:b)"
    words = ["--workload", "sts/db", "--node", "n1", "--service", "x/y", "--port", "80", "--exclude-namespace", "k"]
    assert wish(*words) == {
        "workload": "sts/db", "node": "n1", "service": "x/y", "port": 80, "exclude_namespaces": ["k"],
    }
    assert wish("--ip", "10.0.0.0/8") == {"target": "10.0.0.0/8"}


def test_a_rule_has_the_same_name_for_the_same_words() -> None:
    one = named(wish("checkout.*", "-n", "prod"))
    assert one == named(wish("-n", "prod", "checkout.*"))
    assert one["name"].startswith("checkout-")
    assert named(wish("checkout.*", "-n", "test"))["name"] != one["name"]
    assert named({"pod": ".*"})["name"].startswith("rule-")
    assert named({"pod": "x"}, "mine")["name"] == "mine"
    for odd in ({"pod": "(äöü)" * 100}, {"namespaces": ["prod"]}, {"target": "[::1]:80"}, {"labels": "a=b"}):
        assert checked(named(odd))


def test_what_the_hub_would_refuse_is_refused_at_once() -> None:
    with pytest.raises(SettingsError, match="regular expression"):
        checked(named({"pod": "("}))
    with pytest.raises(SettingsError, match="no port"):
        wish("--port", "70000")


def test_time_spans() -> None:
    assert [seconds(text) for text in ("90s", "10m", "2h", "1d")] == [90, 600, 7200, 86400]
    for wrong in ("", "0s", "10", "m", "-1m", "31d", "1w", "\u0661m"):
        with pytest.raises(SettingsError, match="no time span"):
            seconds(wrong)


def test_conditions_in_words() -> None:
    assert conditions({"target": "all"}) == "all"
    assert conditions(wish("web.*", "-n", "a", "-l", "x=y") | {"exclude": True}) == "NOT web.* -n a -l x=y"


def test_paths_carry_any_name() -> None:
    assert path_of("tap/me@here/1") == "/api/v1/rules/tap%2Fme%40here%2F1"
