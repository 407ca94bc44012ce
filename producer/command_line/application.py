"""The application: every command under its name, and `main`, which turns errors into exit codes.

Imports nothing heavy, so that help answers at once.
"""

import os
import sys
from collections.abc import Callable, Mapping
from typing import Annotated

import typer

from rankmill.db.runtime.foreign_variables import drop_foreign
from rankmill.producer.command_line.commands import collections, schedules
from rankmill.producer.command_line.commands.control import cancel, pause, resume, retry
from rankmill.producer.command_line.commands.explain import explain
from rankmill.producer.command_line.commands.jobs import results, status, watch
from rankmill.producer.command_line.commands.maintenance import doctor, migrate, monitor, prune, worker
from rankmill.producer.command_line.commands.rankings import changes, deliver, rankings, rollback
from rankmill.producer.command_line.commands.run import run, submit
from rankmill.producer.command_line.exit_codes import exit_code_of

_HELP = "Cross-encoder scores for every query and document, in a SQL table by the morning."
_EPILOG = """
Example: rankmill run --corpus corpus.jsonl --queries queries.jsonl --all-pairs --model demo

Step by step: rankmill migrate · rankmill worker · rankmill submit … · rankmill watch JOB · rankmill results
JOB

Options override RANKMILL_* variables, which override a .env file in the current folder, which overrides
defaults.

Exit codes: 0 done, 2 usage, 3 missing prerequisite, 4 resource exhausted, 5 invalid input, 6 runtime
failure, 7 finished with some pairs failed, 130 interrupted.
"""

application = typer.Typer(
    name="rankmill",
    help=_HELP,
    epilog="\n\n".join(" ".join(part.split()) for part in _EPILOG.split("\n\n")),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        from rankmill.db.runtime.version import program_version

        typer.echo(f"rankmill {program_version()}")
        raise typer.Exit


@application.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks and the worker's log. Also RANKMILL_DEBUG=1.")
    ] = False,
) -> None:
    pass


def _add(command: Callable[..., None], to: typer.Typer = application, name: str | None = None) -> None:
    """Adds a command whose docstring is its help; paragraphs that begin with Example are at the end."""
    paragraphs = [" ".join(part.split()) for part in (command.__doc__ or "").split("\n\n")]
    examples = [part for part in paragraphs if part.startswith("Example")]
    text = [part for part in paragraphs if part not in examples]
    to.command(name, help="\n\n".join(text), epilog="\n\n".join(examples))(command)


def _add_group(name: str, commands: Mapping[str, Callable[..., None]], text: str, example: str) -> None:
    """Adds commands under a common first word, with `text` as its help."""
    group = typer.Typer(
        help=text,
        epilog=f"Example: {example}",
        no_args_is_help=True,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for verb, command in commands.items():
        _add(command, group, verb)
    application.add_typer(group, name=name)


_commands: tuple[Callable[..., None], ...] = (
    *(run, submit, worker, status, watch, results, explain, pause, resume, retry, cancel),
    *(rankings, rollback, changes, deliver),
    *(migrate, monitor, doctor),
)
for _command in _commands:
    _add(_command)

_add_group(
    "collection",
    collections.COLLECTION,
    "Keep a corpus up to date in the store, under a name.",
    "rankmill collection sync kb --corpus kb.jsonl",
)
_add_group(
    "queryset",
    collections.QUERYSET,
    "Keep queries up to date in the store, under a name.",
    "rankmill queryset sync faq --queries faq.tsv",
)
_add_group(
    "schedule",
    schedules.SCHEDULE,
    "Make rankings at set times, such as every night.",
    'rankmill schedule add kb --cron "0 2 * * *" --collection kb --query-set faq --all-pairs',
)
_add(schedules.beat)
_add(prune)


def main() -> None:
    """The `rankmill` command. Ends the process with one of the exit codes above."""
    drop_foreign()
    arguments = sys.argv[1:]
    if "--debug" in arguments:  # works at any place of the command
        os.environ["RANKMILL_DEBUG"] = "1"
        arguments = [argument for argument in arguments if argument != "--debug"]
    sys.exit(exit_code_of(lambda: application(arguments, prog_name="rankmill")))
