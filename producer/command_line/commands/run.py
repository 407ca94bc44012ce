"""The commands that start a ranking: run and submit."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rankmill.producer.command_line import options

if TYPE_CHECKING:
    from rankmill.db.records.rankings import NotificationRequest, Publishing, PublishPolicy
    from rankmill.db.runtime.settings import Settings
    from rankmill.db.store.store import Store
    from rankmill.producer.submission.inputs import Inputs


def run(
    corpus: options.Corpus = None,
    queries: options.Queries = None,
    collection: options.CollectionName = None,
    query_set: options.QuerySetName = None,
    candidates: options.Candidates = None,
    all_pairs: options.AllPairs = False,
    name: options.Name = None,
    priority: options.PriorityChoice = None,
    model: options.Model = None,
    revision: options.Revision = None,
    precision: options.PrecisionChoice = None,
    max_length: options.MaxLength = None,
    long_documents: options.LongDocumentsChoice = None,
    window: options.Window = None,
    stride: options.Stride = None,
    top_k: options.TopK = None,
    min_score: options.MinScore = None,
    spans: options.Spans = None,
    publish: options.Publish = None,
    publish_policy: options.PolicyChoice = None,
    keep_publications: options.KeepPublications = None,
    webhook: options.Webhook = None,
    then: options.Then = None,
    output: options.Output = None,
    format_: options.Format = None,
    store: options.StoreUrl = None,
    broker: options.BrokerUrl = None,
    json_: options.Json = False,
) -> None:
    """Rank documents for queries in one go, with nothing to install or start.

    Records the job, starts a private broker and a worker, shows progress, writes the results (or shows the
    best few) and stops what it started. The same command again continues where it was interrupted, and
    answers at once when all is done. With --broker it uses the workers that listen there, if any.

    Example: rankmill run --corpus contracts.jsonl --queries questions.jsonl --all-pairs --model demo

    Example: rankmill run --corpus c.jsonl.gz --queries q.jsonl --candidates bm25.trec --output out.jsonl
    """
    from rankmill.producer.command_line.output.summary import RunProgress, conclude
    from rankmill.producer.errors import UsageError
    from rankmill.producer.processes.interruption import Interruption
    from rankmill.producer.results.files import plan_output
    from rankmill.producer.results.overwrite_guard import check_spares
    from rankmill.producer.running.run import run_job
    from rankmill.producer.settings import settings_from
    from rankmill.producer.submission.inputs import JobOptions

    settings = settings_from(
        {
            "model": model,
            "revision": revision,
            "precision": precision,
            "max_length": max_length,
            "long_documents": long_documents,
            "window": window,
            "stride": stride,
            "store": store,
            "broker": broker,
        }
    )
    inputs = inputs_of(corpus, queries, collection, query_set, candidates, all_pairs, settings.max_line_bytes)
    if json_ and output == "-":
        raise UsageError("--json and --output - both want standard output: give --output a file.")
    planned = None if output is None else plan_output(output, format_)
    if planned is not None:
        check_spares(planned, settings.store, corpus, queries, candidates)
    job_options = JobOptions(
        name=name,
        priority=priority,
        top_k=top_k,
        min_score=min_score,
        spans=spans,
        publishing=publishing_of(publish, publish_policy, keep_publications),
        notification=notification_of(webhook, then),
    )
    with Interruption() as interruption, _opened(settings) as opened:
        with RunProgress(opened) as observer:
            outcome = run_job(
                opened, inputs, job_options, settings, interruption=interruption, observer=observer
            )
        code = conclude(opened, outcome, planned, job_options, as_json=json_)
    raise typer.Exit(code)


def submit(
    corpus: options.Corpus = None,
    queries: options.Queries = None,
    collection: options.CollectionName = None,
    query_set: options.QuerySetName = None,
    candidates: options.Candidates = None,
    all_pairs: options.AllPairs = False,
    name: options.Name = None,
    priority: options.PriorityChoice = None,
    model: options.Model = None,
    revision: options.Revision = None,
    precision: options.PrecisionChoice = None,
    max_length: options.MaxLength = None,
    long_documents: options.LongDocumentsChoice = None,
    window: options.Window = None,
    stride: options.Stride = None,
    top_k: options.TopK = None,
    min_score: options.MinScore = None,
    spans: options.Spans = None,
    publish: options.Publish = None,
    publish_policy: options.PolicyChoice = None,
    keep_publications: options.KeepPublications = None,
    webhook: options.Webhook = None,
    then: options.Then = None,
    store: options.StoreUrl = None,
    broker: options.BrokerUrl = None,
    json_: options.Json = False,
) -> None:
    """Record a job and tell the workers; returns as soon as it is safely stored.

    Submitting the same inputs with the same scorer twice is one job.

    Example: rankmill submit --corpus kb.jsonl --queries q.tsv --candidates bm25.trec --name tonight
    """
    from rankmill.producer.command_line.output.progress import SlowStep, diagnostics
    from rankmill.producer.command_line.output.summary import READING, say_submitted
    from rankmill.producer.processes.interruption import Interruption
    from rankmill.producer.settings import settings_from
    from rankmill.producer.submission.inputs import JobOptions
    from rankmill.producer.submission.submit import submit_job

    settings = settings_from(
        {
            "model": model,
            "revision": revision,
            "precision": precision,
            "max_length": max_length,
            "long_documents": long_documents,
            "window": window,
            "stride": stride,
            "store": store,
            "broker": broker,
        }
    )
    inputs = inputs_of(corpus, queries, collection, query_set, candidates, all_pairs, settings.max_line_bytes)
    job_options = JobOptions(
        name=name,
        priority=priority,
        top_k=top_k,
        min_score=min_score,
        spans=spans,
        publishing=publishing_of(publish, publish_policy, keep_publications),
        notification=notification_of(webhook, then),
    )
    with Interruption(), _opened(settings) as opened:
        reading = SlowStep(diagnostics(), READING)
        try:
            sent = submit_job(opened, inputs, job_options, settings)
        finally:
            reading.done()
        say_submitted(opened, sent, as_json=json_)


def inputs_of(
    corpus: Path | None,
    queries: Path | None,
    collection: str | None,
    query_set: str | None,
    candidates: Path | None,
    all_pairs: bool,
    max_line_bytes: int,
) -> "Inputs":
    """What to rank, from the options that name it. Raises UsageError unless each is named once."""
    from rankmill.producer.errors import UsageError
    from rankmill.producer.sources.stored import Collection, QuerySet
    from rankmill.producer.submission.inputs import inputs_from

    if (corpus is None) == (collection is None):
        raise UsageError("Say which documents to rank: --corpus FILE, or --collection NAME; one of them.")
    if (queries is None) == (query_set is None):
        raise UsageError("Say which queries to rank for: --queries FILE, or --query-set NAME; one of them.")
    check_candidates(candidates, all_pairs)
    return inputs_from(
        corpus or Collection(collection or ""),
        queries or QuerySet(query_set or ""),
        candidates,
        max_line_bytes,
    )


def publishing_of(
    ranking: str | None, policy: "PublishPolicy | None", keep: int | None
) -> "Publishing | None":
    """Under which ranking the job is published, if any. Raises UsageError."""
    from rankmill.db.records.rankings import Publishing, PublishPolicy
    from rankmill.producer.errors import UsageError

    if ranking is None:
        if policy is not None or keep is not None:
            raise UsageError("--publish-policy and --keep-publications go with --publish NAME.")
        return None
    return Publishing(ranking=ranking, policy=policy or PublishPolicy.WITHOUT_FAILED, keep=keep)


def notification_of(webhook: str | None, then: str | None) -> "NotificationRequest | None":
    """Who is told when the job ends, if anybody."""
    from rankmill.db.records.rankings import NotificationRequest

    return None if webhook is None and then is None else NotificationRequest(webhook=webhook, then=then)


def check_candidates(candidates: Path | None, all_pairs: bool) -> None:
    """Raises UsageError unless one of the two says which pairs to score."""
    from rankmill.producer.errors import UsageError

    if candidates is None and not all_pairs:
        raise UsageError("Say which pairs to score: --candidates RUN of a first-stage run, or --all-pairs.")
    if candidates is not None and all_pairs:
        raise UsageError("--candidates and --all-pairs contradict each other: give one of them.")


def _opened(settings: "Settings") -> "Store":
    from rankmill.db.store.opening import open_store

    return open_store(settings.store, create=True)
