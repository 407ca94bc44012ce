"""What SQL people read is what the command line shows."""

from sqlalchemy import text, update

from rankmill.db.records.results import ResultRow
from rankmill.db.results.ranked import ranked_results
from rankmill.db.schema.jobs import job_documents
from rankmill.db.store.store import Store
from tests.support.jobs.small_jobs import StandIn, submit


def test_the_view_shows_the_ranks_scores_and_spans_that_results_show(store: Store) -> None:
    job_id = submit(store).job_id
    StandIn(store).drain()
    with store.writing() as connection:
        # A title of two characters before each text, and one untitled text whose first space was stripped.
        connection.execute(update(job_documents).values(text_offset=2))
        connection.execute(
            update(job_documents).where(job_documents.c.document_no == 1).values(text_offset=-1)
        )
    names = ", ".join(ResultRow._fields[:8])
    with store.reading() as connection:
        viewed = connection.execute(
            text(f"SELECT {names} FROM ranked_results WHERE job_id = :job ORDER BY query_id, rank"),
            {"job": job_id},
        ).all()
    shown = [row[:8] for row in ranked_results(store, job_id)]
    assert [tuple(row) for row in viewed] == shown
    assert {row.span_start for row in viewed} == {0, 1}
