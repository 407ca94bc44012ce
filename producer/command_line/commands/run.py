"""The commands that start a ranking: run and submit."""

import typer

from rankmill.producer.command_line import options
from rankmill.producer.command_line.option_groups import InputOptions, NewJobOptions, ScorerOptions, grouped


@grouped
def run(
    inputs: InputOptions,
    scorer: ScorerOptions,
    job: NewJobOptions,
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
    from rankmill.db.store.opening import open_store
    from rankmill.producer.command_line.output.summary import RunProgress, conclude
    from rankmill.producer.errors import UsageError
    from rankmill.producer.processes.interruption import Interruption
    from rankmill.producer.results.files import plan_output
    from rankmill.producer.results.overwrite_guard import check_spares
    from rankmill.producer.running.run import run_job

    settings = scorer.settings(store=store, broker=broker)
    sources = inputs.inputs(settings.max_line_bytes)
    if json_ and output == "-":
        raise UsageError("--json and --output - both want standard output: give --output a file.")
    planned = None if output is None else plan_output(output, format_)
    if planned is not None:
        check_spares(planned, settings.store, inputs.corpus, inputs.queries, inputs.pairs.candidates)
    job_options = job.job_options()
    with Interruption() as interruption, open_store(settings.store, create=True) as opened:
        with RunProgress(opened) as observer:
            outcome = run_job(
                opened, sources, job_options, settings, interruption=interruption, observer=observer
            )
        code = conclude(opened, outcome, planned, job_options, as_json=json_)
    raise typer.Exit(code)


@grouped
def submit(
    inputs: InputOptions,
    scorer: ScorerOptions,
    job: NewJobOptions,
    store: options.StoreUrl = None,
    broker: options.BrokerUrl = None,
    json_: options.Json = False,
) -> None:
    """Record a job and tell the workers; returns as soon as it is safely stored.

    Submitting the same inputs with the same scorer twice is one job.

    Example: rankmill submit --corpus kb.jsonl --queries q.tsv --candidates bm25.trec --name tonight
    """
    from rankmill.db.store.opening import open_store
    from rankmill.producer.command_line.output.progress import SlowStep, diagnostics
    from rankmill.producer.command_line.output.summary import READING, say_submitted
    from rankmill.producer.processes.interruption import Interruption
    from rankmill.producer.submission.submit import submit_job

    settings = scorer.settings(store=store, broker=broker)
    sources = inputs.inputs(settings.max_line_bytes)
    job_options = job.job_options()
    with Interruption(), open_store(settings.store, create=True) as opened:
        reading = SlowStep(diagnostics(), READING)
        try:
            sent = submit_job(opened, sources, job_options, settings)
        finally:
            reading.done()
        say_submitted(opened, sent, as_json=json_)
