"""The command that explains a score: what computed it, the text of its span, and whether it is repeatable."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from rankmill.producer.command_line import options

if TYPE_CHECKING:
    from rankmill.db.results.explanation import Explanation, StoredScore
    from rankmill.producer.diagnostics.rescore import RescoreResult

_MAX_SPAN_CHARS = 2_000


def explain(
    job: options.Job,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="The id of the query.")],
    document: Annotated[str, typer.Argument(metavar="DOCUMENT", help="The id of the document.")],
    store: options.StoreUrl = None,
    json_: options.Json = False,
) -> None:
    """Show how a pair's score was computed, and compute it again; the exit code is 6 if it differs.

    Example: rankmill explain tonight q03 licence-tessera-brightmoor
    """
    from rankmill.db.jobs.find import find_job
    from rankmill.db.results.explanation import explain as stored
    from rankmill.db.store.opening import open_store
    from rankmill.producer.command_line.exit_codes import FAILURE, MISSING
    from rankmill.producer.command_line.output.opening import print_json, standard_error
    from rankmill.producer.command_line.output.progress import SlowStep
    from rankmill.producer.diagnostics.rescore import Verdict, rescore
    from rankmill.producer.processes.interruption import Interruption
    from rankmill.producer.settings import settings_from

    settings = settings_from({"store": store})
    with Interruption(), open_store(settings.store) as opened:
        explanation = stored(opened, find_job(opened, job), query, document)
        waiting = SlowStep(standard_error(), "scoring the pair again")
        try:
            now = rescore(explanation, settings)
        finally:
            waiting.done()
    if json_:
        print_json(_facts(explanation, now))
    else:
        for name, value in _lines(explanation, now):
            typer.echo(f"{name + ':' if name else '':<15} {value}")
    if now.verdict in (Verdict.DIFFERS, Verdict.OTHER_FILES):
        raise typer.Exit(FAILURE)
    if now.verdict is Verdict.NOT_RECOMPUTED:
        raise typer.Exit(MISSING)


def _facts(explanation: "Explanation", now: "RescoreResult") -> dict[str, object]:
    """Everything, for programs. Spans are offsets in the document's own text, as in results."""
    from rankmill.db.records.sigmoid import sigmoid

    facts = asdict(explanation)
    score = explanation.score
    if score is not None:
        start, end, words = _own_span(explanation, score)
        facts["score"] |= {
            "score": sigmoid(score.logit),
            "span_start": start,
            "span_end": end,
            "span_text": words,
        }
    del facts["query_text"], facts["document_text"], facts["text_offset"]
    return facts | {"recomputed": asdict(now)}


def _own_span(explanation: "Explanation", score: "StoredScore") -> tuple[int, int, str]:
    """Start, end and text of the best window in the document's own text, without its title."""
    offset = explanation.text_offset
    start, end = max(score.span_start - offset, 0), max(score.span_end - offset, 0)
    return start, end, explanation.document_text[offset:][start:end]


def _lines(explanation: "Explanation", now: "RescoreResult") -> list[tuple[str, str]]:
    from rankmill.producer.command_line.output.excerpts import printable

    scorer = explanation.scorer
    asked = [f"{scorer.precision} precision", f"long documents: {scorer.long_documents}"]
    for name in ("revision", "max_length", "window", "stride", "window_ends"):
        value = getattr(scorer, name)
        if value is not None:
            asked.append(f"{name.replace('_', ' ')} {value}")
    lines = [
        ("pair", f"query {printable(explanation.query_id)}, document {printable(explanation.document_id)}"),
        ("query", printable(explanation.query_text)[:_MAX_SPAN_CHARS]),
        ("model", printable(scorer.model)),
        ("asked for", ", ".join(asked)),
    ]
    if explanation.score is not None:
        lines += _score_lines(explanation, explanation.score)
    else:
        lines.append(("no score", printable(explanation.reason or "it is still to come")))
    return lines + _now_lines(explanation, now)


def _score_lines(explanation: "Explanation", score: "StoredScore") -> list[tuple[str, str]]:
    from datetime import UTC, datetime

    from rankmill.db.records.sigmoid import sigmoid
    from rankmill.producer.command_line.output.excerpts import printable
    from rankmill.producer.command_line.output.wording import counted

    start, end, words = _own_span(explanation, score)
    cut = [
        words
        for is_cut, words in (
            (score.truncated, "the document's end was cut"),
            (score.query_truncated, "the query's end was cut"),
        )
        if is_cut
    ]
    when = datetime.fromtimestamp(score.scored_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    whose = f"job {score.scoring_job_id}" + (", and reused" if explanation.reused else "")
    passage = printable(words)
    with_title = ", read with its title" if score.span_start < explanation.text_offset else ""
    return [
        ("score", f"{sigmoid(score.logit)!r}, logit {score.logit!r}"),
        (
            "read",
            f"{counted(score.num_tokens, 'token')} in {counted(score.num_windows, 'window')}; "
            + (" and ".join(cut) or "nothing was cut"),
        ),
        ("computed by", f"{_engine(asdict(score.engine))}, {when}, for {whose}"),
        ("weights", score.engine.weights_digest),
        ("tokenizer", score.engine.tokenizer_digest),
        ("best window", f"[{start}, {end}) of the document's own text{with_title}:"),
        ("", passage[:_MAX_SPAN_CHARS] + ("…" if len(passage) > _MAX_SPAN_CHARS else "")),
    ]


def _now_lines(explanation: "Explanation", now: "RescoreResult") -> list[tuple[str, str]]:
    from rankmill.producer.command_line.output.excerpts import printable

    said = now.verdict.value
    if now.logit is not None:
        said = f"logit {now.logit!r}: {said}"
        if explanation.score is not None and now.logit != explanation.score.logit:
            said += f", by {abs(now.logit - explanation.score.logit):.2g}"
    why = now.problem or now.reason
    lines = [("computed now", said + (f": {printable(why)}" if why else ""))]
    if now.engine is not None:
        lines.append(("by", _engine(now.engine)))
        if now.verdict.name == "OTHER_FILES":
            lines.append(("weights now", now.engine["weights_digest"]))
            lines.append(("tokenizer now", now.engine["tokenizer_digest"]))
    return lines


def _engine(facts: dict[str, str]) -> str:
    return f"version {facts['program_version']} on {facts['device']} in {facts['dtype']}"
