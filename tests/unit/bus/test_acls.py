"""Who may read what: raw payload is weir's alone."""

from __future__ import annotations

from weir.bus.acls import Grant, grants
from weir.bus.topics import TOPICS

SECRET = {topic.name for topic in TOPICS if topic.secret}


def test_the_owner_has_all_topics_and_groups_of_its_instance_and_no_others() -> None:
    assert grants("shop", "weir", []) == [
        Grant(user="weir", operation="all", resource="topic", name="shop.", prefixed=True),
        Grant(user="weir", operation="all", resource="group", name="shop.", prefixed=True),
    ]


def test_readers_have_what_holds_no_raw_payload_and_groups_of_their_own_name() -> None:
    assert {"packets", "segments", "flows", "control"} <= SECRET
    given = grants("shop", "", ["ada", "bob"])
    assert {grant.operation for grant in given} == {"read"}
    for user in ("ada", "bob"):
        topics = {grant.name for grant in given if grant.user == user and grant.resource == "topic"}
        assert topics == {f"shop.{topic.name}" for topic in TOPICS} - {f"shop.{name}" for name in SECRET}
        assert [grant for grant in given if grant.user == user and grant.resource == "group"] == [
            Grant(user=user, operation="read", resource="group", name=user, prefixed=True)
        ]


def test_without_an_owner_or_readers_nothing_is_granted() -> None:
    assert grants("weir", "", []) == []
