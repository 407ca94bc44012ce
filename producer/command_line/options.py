"""The options commands share, with their help.

A setting left out comes from RANKMILL_*, .env or its default.
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
AFTERWARDS = "When it has ended"
PLACES = "Where"


Corpus = Annotated[
    Path | None,
    typer.Option(
        "--corpus",
        metavar="FILE",
        rich_help_panel=INPUTS,
        help="Documents: JSONL with id (or _id), text and maybe title; .gz too.",
    ),
]
Queries = Annotated[
    Path | None,
    typer.Option(
        "--queries",
        metavar="FILE",
        rich_help_panel=INPUTS,
        help="Queries: JSONL with id (or _id) and text, or TSV with two columns; .gz too.",
    ),
]
CollectionName = Annotated[
    str | None,
    typer.Option(
        "--collection",
        metavar="NAME",
        rich_help_panel=INPUTS,
        help="Documents of a collection (rankmill collection sync) in place of --corpus.",
    ),
]
QuerySetName = Annotated[
    str | None,
    typer.Option(
        "--query-set",
        metavar="NAME",
        rich_help_panel=INPUTS,
        help="Queries of a query set (rankmill queryset sync) in place of --queries.",
    ),
]
Candidates = Annotated[
    Path | None,
    typer.Option(
        "--candidates",
        metavar="RUN",
        rich_help_panel=INPUTS,
        help="Pairs to score: a TREC run (six columns) or TSV (query, document and maybe a score); .gz too.",
    ),
]
AllPairs = Annotated[
    bool,
    typer.Option("--all-pairs", rich_help_panel=INPUTS, help="Score every query with every document."),
]
Name = Annotated[
    str | None,
    typer.Option("--name", rich_help_panel=INPUTS, help="A name for the job, to ask for it by."),
]
PriorityChoice = Annotated[
    Priority | None,
    typer.Option(
        "--priority",
        rich_help_panel=INPUTS,
        help="Which jobs workers take up first; normal by default.",
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
        "`null` scores nonsense without a model, for trials.",
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
        help="auto is FP16 on CUDA, and bf16 or fp32 on CPU by what it has; int8 (CPU only) is faster and "
        "changes scores a little.",
    ),
]
MaxLength = Annotated[
    int | None,
    typer.Option(
        "--max-length",
        metavar="TOKENS",
        rich_help_panel=SCORER,
        help="Tokens of one sequence; the model's own limit by default.",
    ),
]
LongDocumentsChoice = Annotated[
    LongDocuments | None,
    typer.Option(
        "--long-documents",
        rich_help_panel=SCORER,
        help="Documents past the limit: score their windows, cut their end, or mark the pair failed.",
    ),
]
Window = Annotated[
    int | None,
    typer.Option(
        "--window",
        metavar="TOKENS",
        rich_help_panel=SCORER,
        help="Document tokens of one window; by default all that fits beside the query.",
    ),
]
Stride = Annotated[
    int | None,
    typer.Option(
        "--stride",
        metavar="TOKENS",
        rich_help_panel=SCORER,
        help="Document tokens from one window's start to the next; by default three quarters of the window.",
    ),
]
TopK = Annotated[
    int | None,
    typer.Option(
        "--top-k",
        min=1,
        metavar="N",
        rich_help_panel=RESULTS,
        help="Show this many documents of each query.",
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
        help="Show scores from here up (0 to 1).",
    ),
]
Spans = Annotated[
    int | None,
    typer.Option(
        "--spans",
        min=1,
        metavar="N",
        rich_help_panel=RESULTS,
        help="Also find the best three clauses of each query's best N documents, in a second, cheap pass.",
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE|-",
        rich_help_panel=RESULTS,
        help="Write results here; - is standard output, as JSONL.",
    ),
]
Format = Annotated[
    ResultFormat | None,
    typer.Option(
        "--format", rich_help_panel=RESULTS, help="Format of the results; by default told by FILE's ending."
    ),
]
Publish = Annotated[
    str | None,
    typer.Option(
        "--publish",
        metavar="NAME",
        rich_help_panel=AFTERWARDS,
        help="Make the results the state of this ranking: latest_results shows them, changes tells them.",
    ),
]
PolicyChoice = Annotated[
    PublishPolicy | None,
    typer.Option(
        "--publish-policy",
        rich_help_panel=AFTERWARDS,
        help="A job with failed pairs: publish all with the reasons, without-failed, or never.",
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
        help="How many states of the ranking can be brought back; as before by default, 7 at first.",
    ),
]
Webhook = Annotated[
    str | None,
    typer.Option(
        "--webhook",
        metavar="URL",
        rich_help_panel=AFTERWARDS,
        help="Post the job's summary here, signed with RANKMILL_WEBHOOK_SECRET.",
    ),
]
Then = Annotated[
    str | None,
    typer.Option(
        "--then",
        metavar="TASK[@QUEUE]",
        rich_help_panel=AFTERWARDS,
        help="Send this Celery task of yours, by name, with the job's id.",
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
Ranking = Annotated[str, typer.Argument(metavar="NAME", help="A ranking's name.")]
Job = Annotated[str, typer.Argument(metavar="JOB", help="A job's id or name.")]
