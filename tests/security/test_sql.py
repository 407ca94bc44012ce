"""SQL is constant text with bound parameters: values of people never become a part of a statement.

Rooms where a statement is put together as it is executed, from names of ours (tables, columns, marks for
parameters), are listed here with the reason; a new one must be thought about, and added. Those that are put
together before are lint's (rule S608).
"""

import ast
import json
import re
from pathlib import Path

import pytest

from rankmill.db.jobs.progress import list_job_progress
from rankmill.db.store.opening import open_store
from tests.support.processes.rankmill_command import in_process
from tests.support.repository import ROOT

ROOMS = ("db", "producer", "worker")
EXECUTES = {"execute", "executemany", "exec_driver_sql", "scalar", "scalars", "stream", "copy", "run", "text"}
# Statements executed as they are built: where, and from what.
BUILT = {
    "db/store/bulk.py": "names of our tables and columns, and their marks",
    "db/store/drivers.py": "numbers that are constants of ours",
    "db/store/migrate.py": "names of our own",
    "db/maintenance/prune.py": "names of our own tables, and conditions written beside them",
    "db/migrations/versions/0009_schedule_runs.py": "names of our own columns and constraints",
    "db/submission/draft_tables.py": "names of our own draft tables, columns and indexes",
    "db/store/temporary_tables.py": "names of our own temporary tables, and how each dialect types columns",
    "db/store/staging_session.py": "the clock's expression of each dialect",
    "db/corpus/texts.py": "as many marks as there are parameters",
    "db/corpus/sync.py": "names of our own tables",
    "db/rankings/deliveries.py": "two constants of ours",
    "db/rankings/diff.py": "names of our own temporary tables, and how each dialect counts",
}


def sources() -> dict[str, str]:
    return {
        str(path.relative_to(ROOT)): path.read_text()
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
    }


def is_built(argument: ast.expr) -> bool:
    """Whether an expression puts a string together from parts that are not all constant."""
    if isinstance(argument, ast.JoinedStr):
        return any(isinstance(part, ast.FormattedValue) for part in argument.values)
    if isinstance(argument, ast.BinOp) and isinstance(argument.op, ast.Add | ast.Mod):
        sides = (argument.left, argument.right)
        return any(isinstance(getattr(side, "value", None), str) or is_built(side) for side in sides)
    if not isinstance(argument, ast.Call) or not isinstance(argument.func, ast.Attribute):
        return False
    # A select joins, too.
    joins = argument.func.attr == "join" and isinstance(argument.func.value, ast.Constant)
    return joins or argument.func.attr in {"format", "replace"}


def built_statements(source: str) -> list[int]:
    """Lines where something is executed whose statement is put together on the spot."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name in EXECUTES and any(map(is_built, node.args[:2])):
            found.append(node.lineno)
    return found


def test_statements_put_together_where_they_are_executed_are_known() -> None:
    found = {name: places for name, source in sources().items() if (places := built_statements(source))}
    assert set(found) <= set(BUILT), found


def test_only_the_store_s_room_speaks_sql() -> None:
    speaks = re.compile(
        r"\b(SELECT .+ FROM|INSERT INTO|DELETE FROM|UPDATE \w+ SET|CREATE TABLE)\b", re.DOTALL
    )
    outside = [
        name for name, source in sources().items() if not name.startswith("db/") and speaks.search(source)
    ]
    assert outside == []


def test_the_walk_sees_what_it_is_to_see() -> None:
    wrong = (
        'connection.execute(f"SELECT {x}")',
        'run(connection, "SELECT " + x)',
        'c.exec_driver_sql("SELECT %s" % x)',
        'c.execute(text("SELECT {}".format(x)))',
    )
    assert [bool(built_statements(one)) for one in wrong] == [True] * len(wrong)
    assert built_statements('connection.execute("SELECT ?", [x]); run(connection, STATEMENT, x)') == []


EVIL = "x'; DROP TABLE pairs; --\" %s %(a)s {b} ? :c"


def test_ids_and_names_full_of_sql_are_ids_and_names_like_any_other(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [{"id": f"{number} {EVIL}", "text": f"{number} {EVIL}"} for number in range(3)]
    Path("corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    Path("queries.jsonl").write_text(json.dumps({"id": EVIL, "text": EVIL}) + "\n")
    Path("run.tsv").write_text(f"{EVIL}\t2 {EVIL}\n")
    asked = [
        "--corpus",
        "corpus.jsonl",
        "--queries",
        "queries.jsonl",
        "--model",
        "null",
        "--store",
        store_url,
    ]
    assert in_process("run", *asked, "--candidates", "run.tsv", "--name", EVIL, "--output", "-") == 0
    [line] = capsys.readouterr().out.splitlines()
    result = json.loads(line)
    assert (result["query_id"], result["document_id"]) == (EVIL, f"2 {EVIL}")
    for command in ("status", "results", "watch"):
        assert in_process(command, EVIL, "--store", store_url) == 0
    with open_store(store_url) as store:
        assert [job.name for job in list_job_progress(store)] == [EVIL]
