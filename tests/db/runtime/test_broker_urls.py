"""Broker URLs: passwords never show, and the same broker is the same however it is written."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankmill.db.runtime.broker_urls import broker_digest, safe_broker_url
from tests.support.inputs.fuzzing import NUM_CASES


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://h:1/0", "redis://h:1/0"),
        ("redis://:p@ss@h:1/0", "redis://:***@h:1/0"),
        ("redis://ann:p%2Fw@h/0", "redis://ann:***@h/0"),
        ("redis+socket:///a/b", "redis+socket:///a/b"),
        ("redis://h/0?password=pw&a=b", "redis://h/0?password=***&a=b"),
        ("sentinel://:pw@a:1;sentinel://:pw@b:2", "sentinel://:***@a:1;sentinel://:***@b:2"),
        ("redis://:p/w@h:1/0", "redis://***"),
        ("redis://:1/w@h:1/0", "redis://***"),
        ("redis://:p?w@h", "redis://***"),
        ("redis://:p#w@h", "redis://***"),
        ("redis://:[w@h", "redis://***"),
        (":pw@h", "***"),
        ("memory://", "memory://"),
    ],
)
def test_what_is_shown_of_a_broker(url: str, shown: str) -> None:
    assert safe_broker_url(url) == shown


def test_a_broker_is_told_by_its_place_and_not_by_who_asks() -> None:
    same = ["redis://h", "redis://h:6379/0", "redis://:pw@H:6379/0", "redis://ann:p@h/0", "redis://h/0?x=y"]
    assert len({broker_digest(url) for url in same}) == 1
    others = [
        "redis://h/1",
        "redis://h:6380/0",
        "redis://g/0",
        "rediss://h/0",
        "redis+socket:///a",
        "nonsense",
    ]
    assert len({broker_digest(url) for url in [same[0], *others]}) == 1 + len(others)


passwords = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=6, max_size=20)


@settings(max_examples=NUM_CASES, deadline=None)
@given(
    password=passwords,
    scheme=st.sampled_from(["redis", "amqp", "rediss"]),
    place=st.sampled_from(["h", "h:1/0", "[::1]:1//"]),
)
def test_fuzzing_no_part_of_any_password_is_shown(password: str, scheme: str, place: str) -> None:
    shown = safe_broker_url(f"{scheme}://careful:{password}@{place}")
    secret = max(re.split(r"\W", password), key=len)
    # A password may be the scheme's own name, or a part of the user's.
    assert len(secret) < 4 or secret in f"{scheme}://careful:***@{place}" or secret not in shown
