from __future__ import annotations

from typing import Any

import pytest

from weir.errors import SettingsError
from weir.model.control import EndpointRecord, Rule
from weir.model.entry import Named
from weir.rules import Matcher


def pod(name: str, namespace: str = "prod", **fields: Any) -> EndpointRecord:
    return EndpointRecord(
        address="10.1.0.1", uid=f"{namespace}-{name}", name=name, namespace=namespace, pod=Named(name, namespace),
        role="pod", **fields,
    )  # fmt: skip


CHECKOUT = pod(
    "checkout-7d8f-abc", labels={"app": "checkout"}, workload="deployment/checkout", node="n1",
    services=["prod/checkout", "prod/shop"],
)  # fmt: skip
DB = pod("db-0", labels={"app": "db"}, workload="statefulset/db", node="n2", services=["prod/db"])
DNS = pod("coredns-1", "kube-system", labels={"k8s-app": "kube-dns"}, node="n1")


@pytest.mark.parametrize(
    ("fields", "selected"),
    [
        ({"namespaces": ["prod"]}, [CHECKOUT, DB]),
        ({"namespaces": ["prod", "kube-system"], "exclude_namespaces": ["kube-system"]}, [CHECKOUT, DB]),
        ({"exclude_namespaces": ["prod"]}, [DNS]),
        ({"pod": "checkout"}, []),
        ({"pod": "checkout.*"}, [CHECKOUT]),
        ({"pod": "db-0"}, [DB]),
        ({"pod": "(db|coredns)-[0-9]+"}, [DB, DNS]),
        ({"pod": "d"}, []),
        ({"pod": ".*"}, [CHECKOUT, DB, DNS]),
        ({"labels": "app in (checkout, db)", "node": "n2"}, [DB]),
        ({"labels": "!app"}, [DNS]),
        ({"workload": "deploy/checkout"}, [CHECKOUT]),
        ({"workload": "db"}, [DB]),
        ({"workload": "deployment/db"}, []),
        ({"service": "prod/shop"}, [CHECKOUT]),
        ({"service": "shop"}, [CHECKOUT]),
        ({"service": "kube-system/shop"}, []),
        ({"node": "n1", "namespaces": ["prod"]}, [CHECKOUT]),
    ],
)
def test_a_rule_selects(fields: dict[str, Any], selected: list[EndpointRecord]) -> None:
    rule = Rule(name="r", **fields)
    matcher = Matcher([rule])
    assert matcher.selected(rule, [CHECKOUT, DB, DNS]) == selected
    assert [each for each in (CHECKOUT, DB, DNS) if matcher.match(each) == ("r",)] == selected


def test_rules_add_up_and_exclusions_win() -> None:
    matcher = Matcher([
        Rule(name="prod", namespaces=["prod"]), Rule(name="db", pod="db.*"),
        Rule(name="no-checkout", workload="checkout", exclude=True), Rule(name="net", target="10.0.0.0/8"),
    ])  # fmt: skip
    assert matcher.match(DB) == ("prod", "db")
    assert matcher.match(CHECKOUT) == ()
    assert matcher.excluded_by(CHECKOUT) == ("no-checkout",)
    assert matcher.match(DNS) == ()
    assert matcher.pods
    assert not Matcher([Rule(name="net", target="10.0.0.0/8")]).pods


def test_a_rule_for_a_port_counts_for_records_of_that_port() -> None:
    matcher = Matcher([
        Rule(name="all", namespaces=["prod"]), Rule(name="web", pod="checkout.*", port=8080),
        Rule(name="quiet", pod="checkout.*", port=9090, exclude=True),
    ])  # fmt: skip
    assert matcher.ports(CHECKOUT) == (8080, 9090)
    assert matcher.ports(DB) == ()
    at = {port: pod("checkout-7d8f-abc", port=port) for port in (0, 8080, 9090)}
    assert [matcher.match(at[port]) for port in (0, 8080, 9090)] == [("all",), ("all", "web"), ()]


def test_warnings_say_what_selects_nothing_everything_or_a_namespace_that_is_not_there() -> None:
    matcher = Matcher([
        Rule(name="fine", namespaces=["prod"]), Rule(name="nothing", pod="zebra"), Rule(name="everything", pod=".*"),
        Rule(name="nowhere", namespaces=["prdo"]), Rule(name="out", pod="zebra", exclude=True),
        Rule(name="net", target="all"), Rule(name="host", target="10.0.0.1"),
    ])  # fmt: skip
    assert matcher.warnings([CHECKOUT, DB, DNS], ["prod", "kube-system"]) == {
        "nothing": "selects no pod",
        "everything": "selects every pod (3)",
        "nowhere": "no such namespace: prdo",
        "out": "excludes no pod",
        "net": "targets all traffic",
    }
    assert matcher.warnings([CHECKOUT], None)["nowhere"] == "selects no pod"


def test_a_wrong_rule_is_refused() -> None:
    with pytest.raises(SettingsError):
        Matcher([Rule(name="r", pod="(")])
