"""The read-only user of docs/downstream.md: sees the five views on PostgreSQL, and nothing else."""

import psycopg
import pytest

from rankmill.db.store.opening import open_store
from tests.support.jobs.small_jobs import StandIn, submit
from tests.support.repository import ROOT

PAGE = ROOT / "docs" / "downstream.md"
VIEWS = ("latest_results", "changes", "ranked_results", "result_spans", "job_progress")


@pytest.fixture
def reader_url(postgres_url: str) -> str:
    """The store as the user sees it that the page's statements make."""
    statements = PAGE.read_text(encoding="utf-8").split("<!-- reader -->")[1].split("<!-- /reader -->")[0]
    with open_store(postgres_url) as store:
        submit(store)
        StandIn(store).drain()
    with psycopg.connect(postgres_url, autocommit=True) as owner:
        owner.execute("DROP ROLE IF EXISTS rankmill_reader")
        owner.execute(statements.replace("```sql", "").replace("```", ""))
    return postgres_url.replace("postgres@", "rankmill_reader@")


def test_the_reader_reads_the_views_and_no_table(reader_url: str) -> None:
    with psycopg.connect(reader_url, autocommit=True) as reader:
        for view in VIEWS:
            reader.execute(f"SELECT * FROM {view}").fetchall()
        assert reader.execute("SELECT count(*) FROM ranked_results WHERE rank = 1").fetchone() == (2,)
        tables = reader.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' "
            "AND has_table_privilege(format('%I.%I', schemaname, tablename), "
            "'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')"
        ).fetchall()
        assert tables == []
        for forbidden in ("SELECT content FROM texts", "DELETE FROM jobs", "CREATE TABLE mine (id int)"):
            with pytest.raises(psycopg.Error):
                reader.execute(forbidden)


def test_the_page_describes_every_column_of_every_view(postgres_url: str) -> None:
    page = PAGE.read_text(encoding="utf-8")
    with psycopg.connect(postgres_url) as owner:
        columns = owner.execute(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_name = ANY(%s)",
            (list(VIEWS),),
        ).fetchall()
    assert {view for view, _ in columns} == set(VIEWS)
    assert [name for name in columns if f"`{name[1]}`" not in page] == []
