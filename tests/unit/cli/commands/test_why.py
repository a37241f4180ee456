from __future__ import annotations

from weir.cli.commands.why import lines


def test_an_answer_in_words() -> None:
    told = {
        "pod": "prod/web\x1b", "verdict": "not_targeted", "says": "no rule", "hint": "make one", "node": "n1",
        "workload": "deployment/web", "rules": ["a", "b"], "also": ["lost"], "seen": {"hidden": 1200},
    }
    assert lines(told) == [
        "prod/web\\x1b: not targeted", "  no rule", "  hint: make one",
        "  node n1; workload deployment/web; targeted by a, b",
        "  1,200 probes or views in front of a service are left out of lists", "  also: lost",
    ]
    assert lines({"pod": "a/b", "verdict": "ok", "says": "fine"}) == ["a/b: ok", "  fine"]
