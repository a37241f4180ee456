"""What weir asks of the API server does not grow with the nodes, and nothing is polled."""

from __future__ import annotations

import pytest

from weir.targets.kube.objects import KINDS
from weir.testing.kubebudget import Budget, measure

pytestmark = [pytest.mark.kube, pytest.mark.timeout(420)]

SECONDS = 20.0


@pytest.fixture(scope="module")
def budgets(control_plane: object, tmp_path_factory: pytest.TempPathFactory) -> list[Budget]:
    """With 1 and with 30 capture processes; `control_plane` skips where there is none."""
    return [measure(tmp_path_factory.mktemp(f"budget{captures}"), captures, SECONDS) for captures in (1, 30)]


def test_one_stream_for_each_kind_and_no_list(budgets: list[Budget]) -> None:
    for budget in budgets:
        assert {what: count for what, count in budget.calls.items() if what[1] != "leases"} == {
            ("watch", kind): 1 for kind in KINDS
        }
        assert budget.open_watches == dict.fromkeys(KINDS, 1)
        assert budget.changes > 10


def test_the_lease_is_all_that_is_asked_for_again(budgets: list[Budget]) -> None:
    for budget in budgets:
        lease = {verb: count for (verb, resource), count in budget.calls.items() if resource == "leases"}
        assert (lease.pop("get"), lease.pop("create")) == (1, 1)
        assert set(lease) <= {"update"}
        assert lease.get("update", 0) <= budget.seconds / 8 + 1


def test_every_capture_process_knows_all(budgets: list[Budget]) -> None:
    few, many = budgets
    assert many.read > few.read > 10
