"""Nothing listens where others could reach it: no port at all for a run, loopback for the monitor."""

import os
from collections.abc import Iterable
from pathlib import Path

import psutil

from tests.support.processes.rankmill_command import PROGRAM, Rankmill, kill_tree, tree_of, write_inputs
from tests.support.processes.web_page import Site
from tests.support.processes.worker_process import worker_process
from tests.support.servers.ports import free_port
from tests.support.servers.services import running
from tests.support.waiting import wait_until

AUTH = "ann:correct-horse"


def listening(processes: Iterable[psutil.Process]) -> set[tuple[str, int]]:
    """Addresses and ports on which any of them waits for others to connect."""
    found = set()
    for process in processes:
        try:
            connections = process.net_connections(kind="inet")
        except psutil.NoSuchProcess:
            continue
        found |= {tuple(one.laddr) for one in connections if one.status == psutil.CONN_LISTEN}
    return found  # type: ignore[return-value]


def test_a_run_opens_no_port_and_its_socket_is_its_owner_s(tmp_path: Path) -> None:
    rankmill = Rankmill(tmp_path)
    flags = write_inputs(tmp_path, num_documents=300, num_queries=40, num_words=4000)
    rankmill.store_url = f"sqlite:///{tmp_path / 'data/rankmill/rankmill.db'}"  # where it is by default
    del rankmill.environment["RANKMILL_STORE"]
    process = rankmill.start("run", *flags, XDG_DATA_HOME=str(tmp_path / "data"))

    def scores() -> bool:
        assert process.poll() is None, process.communicate()
        return any(job.num_scored for job in rankmill.jobs())

    try:
        wait_until(scores, 120, "the run to be in the middle")
        tree = tree_of(process.pid)
        assert any("redis-server" in one.name() for one in tree)
        assert listening(tree) == set()
        [folder] = rankmill.private_folders()
        assert folder.stat().st_mode & 0o077 == 0, "others could reach the private Redis"
        default = rankmill.folder / "data" / "rankmill"
        assert default.stat().st_mode & 0o077 == 0, "others could read the embedded store"
    finally:
        kill_tree(process.pid)


def test_a_worker_opens_no_port_and_the_monitor_listens_on_loopback_only(
    sqlite_url: str, redis_url: str, tmp_path: Path
) -> None:
    port = free_port()
    asked = {"RANKMILL_BROKER": redis_url, "RANKMILL_FLOWER_AUTH": AUTH, "RANKMILL_FLOWER_PORT": str(port)}
    with (
        worker_process(sqlite_url, redis_url, tmp_path / "log") as worker,
        running([str(PROGRAM), "monitor"], dict(os.environ) | asked, tmp_path, "flower") as monitor,
    ):
        worker.wait_until_ready()
        monitor.wait_until(lambda: Site(port, AUTH).answer("/workers")[0] == 200, "Flower's pages")
        assert listening(worker.everyone()) == set()
        assert listening(tree_of(monitor.process.pid)) == {("127.0.0.1", port)}
