"""Tables for people on standard output. Texts of strangers are made printable first."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rankmill.db.records.jobs import JobProgress
from rankmill.db.records.workers import WorkerRow
from rankmill.db.results.passages import Passage, passages
from rankmill.db.results.truncation import TruncationCounts
from rankmill.db.store.store import Store
from rankmill.producer.command_line.output.excerpts import excerpt, printable, shortened
from rankmill.producer.command_line.output.truncation import truncation_cell
from rankmill.producer.command_line.output.wording import duration, rate
from rankmill.producer.diagnostics.doctor import Finding
from rankmill.producer.running.progress import average_pace, num_ended

SHOWN_QUERIES = 20
SHOWN_DOCUMENTS = 3
_MAX_QUERY_CHARS = 200
_MAX_EXCERPT_CHARS = 240
_MOMENT_CHARS = 16  # 2026-03-01 02:00 stays on one line


def print_best_documents(store: Store, job_id: int, *, top: int | None, min_score: float | None) -> None:
    """Prints the best few documents of the first queries, each with an excerpt: its best clause if spans were
    found, else the sentence of its best window that fits the query.
    """
    console = Console(highlight=False, emoji=False, markup=False)
    shown = passages(
        store, job_id, top=min(top or SHOWN_DOCUMENTS, SHOWN_DOCUMENTS), max_queries=SHOWN_QUERIES
    )
    for query_id, found in groupby(shown, key=lambda passage: passage.query_id):
        best = [passage for passage in found if min_score is None or passage.score >= min_score]
        if best:
            console.print(_heading(query_id, best[0].query_text))
            console.print(_ranking(best))


def _heading(query_id: str, query_text: str) -> Text:
    words = shortened(printable(query_text), _MAX_QUERY_CHARS)
    return Text.assemble((words, "bold"), (f"  ({printable(query_id)})", "dim"))


def _ranking(best: list[Passage]) -> Table:
    """Rank, score, and the document's id above its excerpt."""
    table = Table(box=SIMPLE, show_header=False, show_edge=False, padding=(0, 1), expand=True)
    table.add_column(justify="right", no_wrap=True, style="dim")
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold", ratio=1)
    for passage in best:
        if passage.is_clause:
            words = shortened(printable(passage.text), _MAX_EXCERPT_CHARS)
        else:
            words = excerpt(passage.text, passage.query_text, _MAX_EXCERPT_CHARS)
        cell = Text.assemble((printable(passage.document_id), "cyan"), "\n", words)
        table.add_row(str(passage.rank), f"{passage.score:.3f}", cell)
    return table


def jobs_table(rows: list[JobProgress], read: Mapping[int, TruncationCounts]) -> Table:
    """Jobs, newest first; the last column says how much of their texts was read, as far as `read` has it."""
    table = Table(box=SIMPLE, pad_edge=False, show_edge=False)
    for title in ("job", "name", "state", "model"):
        table.add_column(title, overflow="fold")
    for title in ("done", "failed", "pairs/s", "age"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("read")
    for row in rows:
        table.add_row(
            str(row.job_id),
            Text(printable(row.name or "")),
            "paused" if row.paused_at is not None else row.state.value,
            Text(printable(row.scorer.model)),
            f"{num_ended(row):,} of {row.num_pairs:,}",
            f"{row.num_failed:,}",
            rate(average_pace(row)),
            duration(row.now - row.created_at),
            truncation_cell(read.get(row.job_id)),
        )
    return table


def workers_table(rows: list[WorkerRow]) -> Table:
    """Live workers, newest first."""
    table = Table(box=SIMPLE, pad_edge=False, show_edge=False)
    for title in ("worker", "where", "model", "device", "last seen", "problem"):
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(
            str(row.worker_id),
            f"{row.host} process {row.pid}",
            Text(printable(row.model)),
            row.device or "–",
            f"{duration(max(0.0, row.now - row.last_seen_at))} ago",
            Text(printable(row.problem or "")),
        )
    return table


def facts_table(rows: Sequence[Mapping[str, str]]) -> Table:
    """Rows of facts under their names."""
    table = Table(box=SIMPLE, pad_edge=False, show_edge=False)
    for title in rows[0]:
        longest = max(len(row[title]) for row in rows)
        table.add_column(title, overflow="fold", min_width=min(longest, _MOMENT_CHARS))
    for row in rows:
        table.add_row(*(Text(printable(value)) for value in row.values()))
    return table


def findings_table(findings: list[Finding]) -> Table:
    """The doctor's findings."""
    table = Table(box=SIMPLE, pad_edge=False, show_edge=False)
    for title in ("part", "", "found", "what to do"):
        table.add_column(title, overflow="fold")
    for finding in findings:
        verdict = "ok" if finding.is_ok else "not needed" if finding.is_optional else "missing"
        table.add_row(
            finding.part,
            Text(verdict, style="green" if finding.is_ok else "dim" if finding.is_optional else "red"),
            Text(printable(finding.found)),
            Text(finding.remedy),
        )
    return table


def smoke_checks_table(checks: Sequence[Mapping[str, Any]]) -> Table:
    """A model's smoke checks: the logits of the right and the wrong answer, and the verdict."""
    table = Table(box=SIMPLE, pad_edge=False, show_edge=False)
    for title in ("smoke check", "language", "question"):
        table.add_column(title, overflow="fold")
    for title in ("right", "wrong"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("verdict")
    for check in checks:
        verdict = Text("passed", style="green") if check["is_passed"] else Text("FAILED", style="red")
        logits = (f"{check[name]:.2f}" for name in ("right_logit", "wrong_logit"))
        table.add_row(check["name"], check["language"], check["query"], *logits, verdict)
    return table
