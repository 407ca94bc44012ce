"""The monitor lives under a path behind a proxy, with all that its pages link to."""

import re
from pathlib import Path

import pytest

from tests.support.processes.rankmill_command import Rankmill
from tests.support.processes.web_page import Site
from tests.support.processes.worker_process import worker_process
from tests.support.servers.ports import free_port
from tests.support.servers.proxy import proxy
from tests.support.waiting import wait_until

AUTH = "ann:correct-horse"
SOON_S = 60.0


def test_pages_links_and_files_work_below_the_path(sqlite_url: str, redis_url: str, tmp_path: Path) -> None:
    rankmill, port = Rankmill(tmp_path), free_port()
    own = {"RANKMILL_BROKER": redis_url, "RANKMILL_FLOWER_AUTH": AUTH}
    monitor = rankmill.start("monitor", "--port", str(port), "--prefix", "/ops/flower/", **own)
    try:
        with (
            proxy("/ops/flower", port) as front,
            worker_process(sqlite_url, redis_url, tmp_path / "worker.log") as worker,
        ):
            site, stranger = Site(front, AUTH), Site(front)
            wait_until(lambda: stranger.answer("/ops/flower/healthcheck")[0] == 200, SOON_S, "the monitor")
            worker.wait_until_ready()
            node = wait_until(lambda: workers(site), SOON_S, "the worker")[0]

            pages = ["", "/", "/workers", "/tasks", "/broker", f"/worker/{node}"]
            linked: set[str] = set()
            for page in pages:
                status, body = site.answer(f"/ops/flower{page}")
                assert status == 200, page
                linked |= set(re.findall(r'(?:href|src|action)="(/[^"]*)"', body))
            assert any("/static/" in link for link in linked), linked
            for link in linked:
                assert site.answer(link)[0] == 200, link
            assert 'value="ops/flower" id="url_prefix"' in site.answer("/ops/flower/tasks")[1]
            assert stranger.answer("/ops/flower/workers")[0] == stranger.answer("/ops/flower")[0] == 401
    finally:
        monitor.terminate()
        out, err = monitor.communicate(timeout=SOON_S)
    assert f"monitor: http://127.0.0.1:{port}/ops/flower/" in err
    assert "Traceback" not in out + err


def workers(site: Site) -> list[str]:
    listed = site.json("/ops/flower/workers?json=1") or {"data": []}
    return [worker["hostname"] for worker in listed["data"] if worker["status"]]


@pytest.mark.parametrize("prefix", ["a b", "a//b", "?x", "../etc", "%2e"])
def test_what_is_no_path_is_refused(tmp_path: Path, prefix: str) -> None:
    refused = Rankmill(tmp_path)("monitor", "--prefix", prefix, exit_code=2)
    assert "--flower-prefix" not in refused.stderr
    assert "--prefix" in refused.stderr
