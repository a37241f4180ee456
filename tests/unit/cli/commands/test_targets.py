from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from weir.cli.commands.targets import added, listed, previewed, read_rules
from weir.errors import SettingsError


def state(name: str = "web", **more: Any) -> dict[str, Any]:
    rule = {"name": name, "pod": "web.*", "author": "cli me@here"} | more.pop("rule", {})
    return {"rule": rule, "pods": 2, "nodes": 1, "names": ["a/web-1", "a/web-2"], "warnings": []} | more


def test_rules_in_a_table() -> None:
    lines = listed([
        state(), state("given", rule={"read_only": True, "source": "helm", "author": ""}, warnings=["selects no pod"]),
        state("short", expires_in_s=42.4), state("evil\x1b[1m", expires_in_s=7200.0),
    ])
    assert lines[0].split() == ["NAME", "SELECTS", "PODS", "NODES", "UNTIL", "BY"]
    assert lines[1].split() == ["web", "web.*", "2", "1", "-", "cli", "me@here"]
    assert lines[2].endswith("helm (helm, read-only)")
    assert " 42s " in lines[3]
    assert "evil\\x1b[1m" in lines[4]
    assert " 2h " in lines[4]
    assert lines[5] == "warning: given: selects no pod"


def test_without_rules_it_says_how_to_make_one() -> None:
    assert "weir targets add" in listed([])[1]


def test_a_rule_that_was_made() -> None:
    assert added(state(pods=9)) == ["rule web selects 9 pods on 1 nodes: a/web-1, a/web-2 …"]
    assert added(state(expires_in_s=60.0, warnings=["w"], pods=0, names=[])) == [
        "rule web selects 0 pods on 1 nodes; it stays for 60s", "warning: w"
    ]
    assert added(state(rule={"target": "all", "exclude": True})) == ["rule web excludes all"]


def test_a_preview() -> None:
    node = {"node": "n", "mb_per_s": 21.0, "gb_per_day": 1814.4, "ceiling_mb_per_s": 20.0, "above": True}
    pods = [{"pod": f"a/w-{n}", "node": "n", "workload": "deployment/w", "mb_per_s": 1.0} for n in range(25)]
    told = {"pods": 30, "fresh": 3, "listed": pods, "nodes": [node], "mb_per_s": 25.0, "gb_per_day": 2160.0,
            "over_s": 300.0, "warnings": ["n would be above"]}
    lines = previewed(told)
    assert lines[0] == "30 pods, 3 of them not targeted yet"
    assert "… and 10 more" in lines
    assert any("ABOVE" in line for line in lines)
    assert lines[-2:] == [
        "its pods' conversations carry 25 MB/s, 2160 GB/day (estimated from those that began in the last 5m)",
        "warning: n would be above",
    ]
    assert "not known yet" in previewed(told | {"over_s": 0.0})[-2]
    assert previewed(told | {"pods": 0, "listed": [], "nodes": [], "warnings": []}) == ["0 pods"]


def test_rules_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text("rules:\n- {name: a, pod: 'x.*'}\n- {name: b, target: all}\n")
    assert [one["name"] for one in read_rules(str(file))] == ["a", "b"]
    for text, words in (
        ("", "no list"), ("[]", "no list"), ("a: [", "no YAML"), ("- 7", r"\[0\] is no rule"), ("rules: 7", "no list"),
        ("- {name: a, pod: '('}", "regular expression"), ("- {name: a, pods: x}", "no field"),
    ):
        file.write_text(text)
        with pytest.raises(SettingsError, match=words):
            read_rules(str(file))
    with pytest.raises(SettingsError, match="No such file"):
        read_rules(str(tmp_path / "none"))
