"""docs/guarantees.md names tests that there are."""

import re

from docs import generate

PAGE = (generate.ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")


def test_every_test_that_holds_a_guarantee_is_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", PAGE)
    assert len(named) > 40
    missing = [
        f"{path}::{name}"
        for path, name in named
        if f"def {name}(" not in (generate.ROOT / path).read_text(encoding="utf-8")
    ]
    assert missing == []


def test_every_promise_names_a_test() -> None:
    promises = re.split(r"^## (?=\d)", PAGE, flags=re.MULTILINE)[1:]
    assert [promise[0] for promise in promises] == list("123456789")
    assert [promise[:40] for promise in promises if "::test_" not in promise] == []
