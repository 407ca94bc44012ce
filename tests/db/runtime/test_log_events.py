"""Words: log lines as text and JSON without secrets, a drain's line, and the flag that asks to stop."""

import ast
import io
import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from rankmill.db.errors import StoreUnavailable
from rankmill.db.records.telemetry import Telemetry
from rankmill.db.runtime.log_events import (
    WORDS,
    JsonFormatter,
    TextFormatter,
    reason_of,
    sentence,
    setup_logging,
)
from rankmill.db.runtime.settings import Settings
from rankmill.worker.drain.report import DrainReport
from rankmill.worker.health.parent_watch import watch
from rankmill.worker.health.stop import CHILD_SIGNAL, Stop, ask_to_stop
from tests.support.repository import ROOT
from tests.support.waiting import wait_until

TEN_S = Telemetry(device_s=9.0, tokens_s=0.5, store_s=0.5)
LEVELS = "debug|info|warning|error|critical|exception"
CHOSEN_ELSEWHERE = ("event", "self._failure", "failure")
CLAIMED = {"num_shards": 3, "job_ids": [7], "num_pairs": 1640, "num_tokens": 812344}


@pytest.fixture
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(False)


def record(event: str, fields: dict[str, object], error: Exception | None = None) -> logging.LogRecord:
    made = logging.LogRecord("rankmill.worker", logging.INFO, __file__, 1, event, (), None)
    made.fields = fields
    if error:
        made.exc_info = (type(error), error, None)
    return made


def test_an_event_reads_as_a_sentence_with_its_time_and_room() -> None:
    line = TextFormatter().format(record("claimed", CLAIMED))
    assert line.endswith("INFO worker: claimed 3 shards of jobs [7]: 1,640 pairs, 812,344 tokens")


def test_an_event_as_json_carries_its_fields() -> None:
    line = json.loads(JsonFormatter().format(record("claimed", CLAIMED)))
    assert CLAIMED.items() <= line.items()
    assert (line["event"], line["level"], line["room"]) == ("claimed", "INFO", "worker")
    assert line["message"].startswith("claimed 3 shards")


def test_an_event_without_words_or_with_other_fields_is_still_said() -> None:
    assert sentence("hiccup", {"num": 2}) == "hiccup num=2"
    assert sentence("claimed", {"num_shards": 3}) == "claimed num_shards=3"


def test_every_emitted_event_has_words_and_all_words_are_of_emitted_events() -> None:
    assert emitted_events() == WORDS.keys()


def emitted_events() -> set[str]:
    """Every name given to a log or chosen for one: `log.info(NAME, ...)`, `_log(NAME, ...)`, `failure=NAME`,
    and `event = ONE if ... else OTHER`.
    """
    return {
        name
        for folder in ("db", "producer", "worker")
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for expression in naming(node)
        for name in chosen(expression)
    }


def naming(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.Call):
        if re.fullmatch(rf"log\.({LEVELS})|_log", ast.unparse(node.func)):
            yield node.args[0]
        yield from (keyword.value for keyword in node.keywords if keyword.arg == "failure")
    elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "event":
        yield node.value


def chosen(expression: ast.expr) -> Iterator[str]:
    """The name, or those between which `... if ... else ...` chooses."""
    if isinstance(expression, ast.IfExp):
        yield from chosen(expression.body)
        yield from chosen(expression.orelse)
    elif ast.unparse(expression) not in CHOSEN_ELSEWHERE:
        yield ast.literal_eval(expression)


@pytest.mark.parametrize(
    ("event", "fields", "words"),
    [
        (
            "fast_path_failed",
            {"path": "blocks"},
            "fast path blocks failed and is not used: no compiler",
        ),
        (
            "fast_path_failed",
            {"kernel": "flash", "model_class": "Bert"},
            "attention kernel flash failed for Bert and is not used: no compiler",
        ),
    ],
)
def test_an_event_emitted_with_other_fields_elsewhere_has_words_for_both(
    event: str, fields: dict[str, object], words: str
) -> None:
    assert sentence(event, {**fields, "error": "no compiler"}) == words


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_no_line_shows_a_password_or_the_parameters_of_a_statement(formatter: logging.Formatter) -> None:
    error = RuntimeError(
        "INSERT failed [parameters: ('a clause nobody may read',)]\non redis://:hush@localhost/0"
    )
    line = formatter.format(record("drained", {"line": "postgresql://me:hush@db/x"}, error))
    assert "hush" not in line
    assert "nobody may read" not in line
    assert "postgresql://me:***@db/x" in line


def test_a_reason_is_one_short_line_and_names_a_stranger_s_error() -> None:
    assert reason_of(ValueError("first\nsecond")) == "ValueError: first"
    assert reason_of(KeyError()) == "KeyError: "
    assert reason_of(StoreUnavailable("x", "gone")).startswith("The store x cannot be reached")
    assert len(reason_of(ValueError("x" * 10_000))) == 300


@pytest.mark.usefixtures("_logging_as_before")
def test_libraries_speak_up_only_when_something_is_wrong() -> None:
    stream = io.StringIO()
    setup_logging(Settings(log_format="json"), stream)
    logging.getLogger("celery.worker").info("chatter")
    logging.getLogger("sqlalchemy.engine").info("chatter")
    logging.getLogger("rankmill.worker").debug("chatter")
    logging.getLogger("celery.worker").warning("trouble %s", "ahead")
    logging.getLogger("rankmill.worker").info("claimed", extra={"fields": CLAIMED})
    messages = [json.loads(line)["message"] for line in stream.getvalue().splitlines()]
    assert messages == ["trouble ahead", "claimed 3 shards of jobs [7]: 1,640 pairs, 812,344 tokens"]


@pytest.mark.parametrize(
    ("report", "line"),
    [
        (DrainReport(), "nothing was ready"),
        (
            DrainReport(job_ids={7}, num_shards=3, num_pairs=1640, num_tokens=812344, telemetry=TEN_S),
            "job 7: 3 shards, 1,640 pairs, 812,344 tokens, 81,234 tokens/s",
        ),
        (
            DrainReport(
                job_ids={2, 1}, num_shards=1, num_pairs=1, num_tokens=50, telemetry=TEN_S, num_failed_pairs=1
            ),
            "jobs 1, 2: 1 shard, 1 pair, 50 tokens, 5 tokens/s, 1 pair failed",
        ),
        (
            DrainReport(job_ids=set(range(9)), num_failed_shards=1, num_lost=2, num_released=3),
            "jobs 0, 1, 2, 3, 4 and 4 more: 1 shard failed, 2 shards lost to others, 3 shards released",
        ),
        (DrainReport(problem="no model"), "stopped by a problem: no model"),
    ],
)
def test_a_drain_s_line_says_all_that_happened_and_nothing_else(report: DrainReport, line: str) -> None:
    assert report.line() == line


def test_a_stop_is_heard_by_signal_and_ends_a_pause() -> None:
    stop, before = Stop(), signal.getsignal(CHILD_SIGNAL)
    try:
        stop.listen()
        assert not stop()
        ask_to_stop(os.getpid())
        wait_until(stop, 10, "the signal to be heard")
    finally:
        signal.signal(CHILD_SIGNAL, before)
    stop.pause(3600)


def test_a_process_s_end_is_noticed_once() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    gone = threading.Event()
    watch(process.pid, gone.set)
    assert not gone.is_set()
    process.kill()
    process.wait()
    wait_until(gone.is_set, 10, "the process's end to be noticed")
