"""The options that commands share, with their help.

A setting that is not given comes from RANKMILL_*, .env or its default.
"""

from pathlib import Path
from typing import Annotated

import typer

from rankmill.db.records.jobs import Priority
from rankmill.db.records.rankings import PublishPolicy
from rankmill.db.records.scorers import LongDocuments, Precision
from rankmill.producer.results.formats import ResultFormat

INPUTS = "What to rank"
SCORER = "How to score"
RESULTS = "What to show"
AFTERWARDS = "When the job ends"
PLACES = "Where"


Corpus = Annotated[
    Path | None,
    typer.Option(
        "--corpus",
        metavar="FILE",
        rich_help_panel=INPUTS,
        help="Documents: JSONL with id (or _id), text and optionally title; may be gzipped.",
    ),
]
Queries = Annotated[
    Path | None,
    typer.Option(
        "--queries",
        metavar="FILE",
        rich_help_panel=INPUTS,
        help="Queries: JSONL with id (or _id) and text, or TSV with two columns; may be gzipped.",
    ),
]
CollectionName = Annotated[
    str | None,
    typer.Option(
        "--collection",
        metavar="NAME",
        rich_help_panel=INPUTS,
        help="Documents of a collection (rankmill collection sync), instead of --corpus.",
    ),
]
QuerySetName = Annotated[
    str | None,
    typer.Option(
        "--query-set",
        metavar="NAME",
        rich_help_panel=INPUTS,
        help="Queries of a query set (rankmill queryset sync), instead of --queries.",
    ),
]
Candidates = Annotated[
    Path | None,
    typer.Option(
        "--candidates",
        metavar="RUN",
        rich_help_panel=INPUTS,
        help="Pairs to score: a TREC run (six columns) or TSV (query, document, optional score); may be "
        "gzipped.",
    ),
]
AllPairs = Annotated[
    bool,
    typer.Option("--all-pairs", rich_help_panel=INPUTS, help="Score every query with every document."),
]
Name = Annotated[
    str | None,
    typer.Option(
        "--name",
        rich_help_panel=INPUTS,
        help="A name for the job; other commands take it in place of the id.",
    ),
]
PriorityChoice = Annotated[
    Priority | None,
    typer.Option(
        "--priority",
        rich_help_panel=INPUTS,
        help="Which jobs workers score first; normal by default.",
        show_default=False,
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="ID|DIR|demo",
        rich_help_panel=SCORER,
        help="Cross-encoder: a Hugging Face id, a directory, or `demo`. Default BAAI/bge-reranker-v2-m3; "
        "`null` needs no model and gives meaningless scores, for trials.",
        show_default=False,
    ),
]
Revision = Annotated[
    str | None,
    typer.Option("--revision", rich_help_panel=SCORER, help="Branch, tag or commit of a Hugging Face model."),
]
PrecisionChoice = Annotated[
    Precision | None,
    typer.Option(
        "--precision",
        rich_help_panel=SCORER,
        help="auto is fp16 on CUDA, and on a CPU bf16 if supported, else fp32; int8 (CPU only) is faster "
        "and changes scores slightly.",
    ),
]
MaxLength = Annotated[
    int | None,
    typer.Option(
        "--max-length",
        metavar="TOKENS",
        rich_help_panel=SCORER,
        help="Most tokens of a query and a document together; by default the model's own limit.",
    ),
]
LongDocumentsChoice = Annotated[
    LongDocuments | None,
    typer.Option(
        "--long-documents",
        rich_help_panel=SCORER,
        help="For documents over the limit: score them in windows, truncate them, or fail the pair.",
    ),
]
Window = Annotated[
    int | None,
    typer.Option(
        "--window",
        metavar="TOKENS",
        rich_help_panel=SCORER,
        help="Document tokens of one window; by default all that fit beside the query.",
    ),
]
Stride = Annotated[
    int | None,
    typer.Option(
        "--stride",
        metavar="TOKENS",
        rich_help_panel=SCORER,
        help="Document tokens from the start of one window to the next; by default three quarters of the "
        "window.",
    ),
]
TopK = Annotated[
    int | None,
    typer.Option(
        "--top-k",
        min=1,
        metavar="N",
        rich_help_panel=RESULTS,
        help="Show at most this many documents for each query.",
    ),
]
MinScore = Annotated[
    float | None,
    typer.Option(
        "--min-score",
        min=0.0,
        max=1.0,
        metavar="SCORE",
        rich_help_panel=RESULTS,
        help="Show only scores of at least this (0 to 1).",
    ),
]
Spans = Annotated[
    int | None,
    typer.Option(
        "--spans",
        min=1,
        metavar="N",
        rich_help_panel=RESULTS,
        help="Also find the three best clauses in each query's best N documents, in a second, cheap pass.",
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE|-",
        rich_help_panel=RESULTS,
        help="Write the results to this file; - is standard output, as JSONL.",
    ),
]
Format = Annotated[
    ResultFormat | None,
    typer.Option(
        "--format",
        rich_help_panel=RESULTS,
        help="Format of the results; by default the extension of FILE tells.",
    ),
]
Publish = Annotated[
    str | None,
    typer.Option(
        "--publish",
        metavar="NAME",
        rich_help_panel=AFTERWARDS,
        help="Publish the results as the new state of this ranking: the view latest_results shows it, and "
        "rankmill changes what changed.",
    ),
]
PolicyChoice = Annotated[
    PublishPolicy | None,
    typer.Option(
        "--publish-policy",
        rich_help_panel=AFTERWARDS,
        help="What to publish if pairs failed: all of them with the reasons, without-failed, or never.",
        show_default="without-failed",
    ),
]
KeepPublications = Annotated[
    int | None,
    typer.Option(
        "--keep-publications",
        min=1,
        metavar="N",
        rich_help_panel=AFTERWARDS,
        help="How many publications of the ranking to keep; by default as many as before, 7 at first.",
    ),
]
Webhook = Annotated[
    str | None,
    typer.Option(
        "--webhook",
        metavar="URL",
        rich_help_panel=AFTERWARDS,
        help="Post the job's summary to this URL, signed with RANKMILL_WEBHOOK_SECRET.",
    ),
]
Then = Annotated[
    str | None,
    typer.Option(
        "--then",
        metavar="TASK[@QUEUE]",
        rich_help_panel=AFTERWARDS,
        help="Send this Celery task of yours with the job's id.",
    ),
]
StoreUrl = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="URL",
        rich_help_panel=PLACES,
        help="sqlite:///FILE or postgresql://USER@HOST/NAME; by default a file in your data folder.",
    ),
]
BrokerUrl = Annotated[
    str | None,
    typer.Option(
        "--broker",
        metavar="URL",
        rich_help_panel=PLACES,
        help="redis://HOST:PORT/0 or amqp://USER@HOST// (RabbitMQ)",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print a machine-readable summary on standard output.")]
Ranking = Annotated[str, typer.Argument(metavar="NAME", help="The name of a ranking.")]
Job = Annotated[str, typer.Argument(metavar="JOB", help="The id or name of a job.")]
