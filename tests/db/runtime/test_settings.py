"""Settings that would fight one another are refused with what to set instead."""

import pytest
from pydantic import ValidationError

from rankmill.db.runtime.settings import Settings


@pytest.mark.parametrize(("lease_s", "heartbeat_s"), [(20, None), (60, 31), (60, 60)])
def test_a_lease_that_one_lost_heartbeat_ends_is_refused(
    monkeypatch: pytest.MonkeyPatch, lease_s: float, heartbeat_s: float | None
) -> None:
    monkeypatch.setenv("RANKMILL_LEASE_S", str(lease_s))
    monkeypatch.setenv("RANKMILL_HEARTBEAT_S", str(heartbeat_s or ""))
    with pytest.raises(ValidationError) as refused:
        Settings()
    [error] = refused.value.errors()
    assert error["loc"] == ("heartbeat_s",)
    assert f"set RANKMILL_HEARTBEAT_S to {lease_s / 2:g} or less" in error["msg"]


def test_a_lease_of_two_heartbeats_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANKMILL_LEASE_S", "2")
    monkeypatch.setenv("RANKMILL_HEARTBEAT_S", "1")
    assert Settings().heartbeat_s == 1
