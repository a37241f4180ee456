from __future__ import annotations

from typing import Any

import pytest

from weir.errors import SettingsError
from weir.model.control import Control, Rule
from weir.targets.rulebook import (
    MAX_RULES,
    Book,
    Judged,
    collapsed,
    control_of,
    effective,
    rules_of_file,
    rules_of_settings,
)
from weir.targets.settings import TargetsSettings

NOW = 1_000


def table(*rules: Rule) -> dict[bytes, Any]:
    return {rule.name.encode(): rule for rule in rules}


def control(book: Book, previous: Control | None = None, **fields: Any) -> Control:
    settings = TargetsSettings(redaction_key="k", **fields)
    return control_of(settings, book, previous, b"", kubernetes=True)


def test_rules_of_people_are_in_force_until_they_expire() -> None:
    book = effective(
        table(Rule(name="b", pod="b"), Rule(name="a", pod="a", until_ns=NOW + 5), Rule(name="c", pod="c", until_ns=1)),
        [], NOW,
    )  # fmt: skip
    assert [rule.name for rule in book.rules] == ["a", "b"]
    assert book.tombstones == (b"c",)
    assert book.next_ns == NOW + 5


def test_fixed_rules_are_published_and_win() -> None:
    fixed = rules_of_settings(TargetsSettings(static=["port:80"]))
    stranger = Rule(name="static/0", target="all")
    book = effective(table(stranger, Rule(name="x", pod="x")), fixed, NOW)
    assert [rule.name for rule in book.rules] == ["static/0", "x"]
    assert book.rules[0].target == "port:80"
    assert book.publish == tuple(fixed)
    assert effective(table(*fixed), fixed, NOW).publish == ()


def test_a_fixed_rule_that_is_no_longer_said_is_taken_back() -> None:
    old = Rule(name="static/7", target="port:80", source="settings", read_only=True)
    assert effective(table(old), [], NOW) == Book(tombstones=(b"static/7",))


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (Rule(name="bad", pod="a("), "missing )"),
        (Rule(name="bad"), "nothing is selected"),
        (Rule(name="bad", labels="="), "label selector"),
        (Rule(name="other", pod="a"), "is no rule"),
        ("text", "is no rule"),
    ],
)
def test_a_bad_rule_of_the_table_is_left_out_and_told(rule: Any, says: str) -> None:
    book = effective({b"bad": rule, b"good": Rule(name="good", pod="x")}, [], NOW)
    assert [rule.name for rule in book.rules] == ["good"]
    assert says in book.wrong["bad"]


def test_a_rule_is_judged_again_only_if_it_is_another_one() -> None:
    judged: Judged = {}
    bad = table(Rule(name="a", pod="("), Rule(name="b", pod="x"))
    first = effective(bad, [], NOW, judged)
    assert effective(bad, [], NOW, judged) == first
    assert list(first.wrong) == ["a"]
    mended = effective(bad | table(Rule(name="a", pod="y")), [], NOW, judged)
    assert (len(mended.rules), mended.wrong) == (2, {})
    assert effective({}, [], NOW, judged).rules == ()
    assert judged == {}


def test_there_is_an_end_to_rules() -> None:
    book = effective(table(*(Rule(name=f"r{n:05}", pod="x") for n in range(MAX_RULES + 2))), [], NOW)
    assert len(book.rules) == MAX_RULES
    assert sorted(book.wrong) == ["r01000", "r01001"]


@pytest.mark.parametrize("text", ["", "rules: []", "[]", "# nothing"])
def test_a_file_may_hold_no_rules(text: str) -> None:
    assert rules_of_file(text, "rules.yaml") == []


def test_a_file_holds_rules_that_are_read_only() -> None:
    text = "rules:\n  - {name: shop, namespaces: [shop]}\n  - {name: net, target: 10.0.0.0/8, author: ops}\n"
    shop, net = rules_of_file(text, "rules.yaml")
    assert shop == Rule(name="shop", namespaces=["shop"], source="file", read_only=True, author="file")
    assert net.author == "ops"
    shop, net = rules_of_file(text, "rules.yaml", "helm")
    assert (shop.source, shop.author, shop.read_only) == ("helm", "Helm values", True)
    assert (net.source, net.author, net.read_only) == ("helm", "ops", True)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- {name: a", "rules.yaml, line 1, column 11: no YAML"),
        ("a: 1", "no list of rules"),
        ("- {name: a, pod: x}\n- {name: a, pod: y}", "rules.yaml[1]: another rule is called 'a'"),
        ("- {name: static/0, pod: x}", "another rule is called"),
        ("- {name: a, pods: x}", "rules.yaml[0]: 'pods' is no field"),
        ("- shop", "rules.yaml[0]: not a rule"),
        ("- {name: a, pod: (}", "rules.yaml[0]"),
        ("\x00", "no YAML"),
    ],
)
def test_a_wrong_file_is_told_with_its_place(text: str, says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        rules_of_file(text, "rules.yaml")
    assert says in caught.value.message
    assert caught.value.hint


def test_rules_without_pods_are_in_the_document_and_rules_for_pods_are_counted_on() -> None:
    wanted, unwanted = Rule(name="a", target="port:80"), Rule(name="b", target="10.0.0.1", exclude=True)
    document = control(Book(rules=(wanted, unwanted, Rule(name="c", pod="x"))))
    assert (document.targets, document.excluded) == (["port:80"], ["10.0.0.1"])
    assert (document.pods, document.outline) == (True, True)
    assert not control(Book(rules=(Rule(name="c", pod="x", exclude=True),))).pods


def test_the_generation_rises_with_what_matters_and_with_nothing_else() -> None:
    first = control(Book(rules=(Rule(name="a", pod="x"),)))
    again = control(Book(rules=(Rule(name="b", pod="y", author="me"),)), first)
    assert again == first
    assert control(Book(rules=(Rule(name="a", target="all"),)), first).generation == first.generation + 1


@pytest.mark.parametrize(
    ("outline", "kubernetes", "rules", "kept"),
    [
        ("auto", False, (), True),
        ("auto", False, (Rule(name="a", target="all"),), False),
        ("auto", False, (Rule(name="a", target="all", exclude=True),), True),
        ("auto", True, (Rule(name="a", target="all"),), True),
        ("on", False, (Rule(name="a", target="all"),), True),
        ("off", True, (), False),
    ],
)
def test_what_is_not_targeted_is_an_outline(outline: Any, kubernetes: bool, rules: Any, kept: bool) -> None:
    settings = TargetsSettings(outline=outline)
    assert control_of(settings, Book(rules=rules), None, b"", kubernetes=kubernetes).outline is kept


def test_pod_ranges_are_few_and_stay_while_nodes_are_not_known() -> None:
    assert collapsed(["10.1.1.0/24", "fd00::/64", "10.1.0.0/24", "x", "10.1.0.0/25"]) == ["10.1.0.0/23", "fd00::/64"]
    settings = TargetsSettings(redaction_key="k", pod_ranges=["10.9.0.0/16"])
    first = control_of(settings, Book(), None, b"", pod_ranges=["10.1.0.0/24"])
    assert first.pod_ranges == ["10.1.0.0/24", "10.9.0.0/16"]
    assert control_of(settings, Book(), first, b"", pod_ranges=None) == first


def test_weirs_own_addresses_are_excluded() -> None:
    settings = TargetsSettings(redaction_key="k")
    assert control_of(settings, Book(), None, b"", own=["10.1.0.9"]).excluded == ["10.1.0.9"]
