"""The words people are shown: excerpts, rates, progress lines and the sentence each error becomes."""

import errno
from dataclasses import replace

import pytest
from rich.console import Console

from rankmill.db.errors import StoreBusy, StoreFull, StoreReadOnly
from rankmill.db.records.jobs import JobProgress, JobState
from rankmill.db.records.scorers import ScorerSpec
from rankmill.producer.command_line.exit_codes import exit_code_and_message
from rankmill.producer.command_line.output.excerpts import excerpt, printable
from rankmill.producer.command_line.output.progress import ProgressLines
from rankmill.producer.command_line.output.wording import counted, duration, progress_sentence
from rankmill.producer.processes.interruption import Interrupted
from rankmill.producer.running.progress import Pace

START = JobProgress(
    job_id=1,
    name=None,
    state=JobState.ACTIVE,
    scorer=ScorerSpec(model="null"),
    num_pairs=100,
    num_reused=10,
    num_scored=0,
    num_failed=0,
    num_claimed=0,
    num_waiting=90,
    num_scored_tokens=0,
    num_open_tokens=9_000,
    num_shards=9,
    num_dead_shards=0,
    created_at=0.0,
    finished_at=None,
    now=0.0,
    top_k=None,
    min_score=None,
)


def test_an_excerpt_is_the_sentence_that_answers_not_the_one_with_common_words() -> None:
    passage = (
        "The parties agree to the terms of the agreement and of the schedule. "
        "This Agreement may be terminated by either party on thirty days' notice in writing, without cause. "
        "The schedule is part of the agreement."
    )
    assert "thirty days" in excerpt(passage, "How can the agreement be ended: is termination without notice?")


def test_an_excerpt_is_one_printable_line_cut_to_its_room() -> None:
    assert excerpt("A\x1b[31mred\x07\nline\u202e of text", "red") == "A [31mred line of text"
    assert len(excerpt("word " * 200, "word", max_chars=50)) <= 50
    assert excerpt("", "anything") == ""
    assert excerpt("合同受纽约州法律管辖。租金每月支付。", "租金何时支付？").startswith("租金")
    assert printable("a\x00b\x9bc") == "a b c"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (59.4, "59 s"), (185, "3 min 5 s"), (7_440, "2 h 4 min")],
)
def test_durations_read_well(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_numbers_have_their_nouns() -> None:
    assert [counted(1, "shard"), counted(1200, "query", "queries")] == ["1 shard", "1,200 queries"]


def test_a_pace_outlives_a_landing_that_takes_longer_than_its_window() -> None:
    pace = Pace()
    assert pace.add(START).pairs_per_s is None
    landed = replace(START, num_scored=10, num_scored_tokens=1000, num_open_tokens=8_000)
    pace.add(replace(landed, now=10.0))
    late = pace.add(replace(landed, now=50.0))
    assert late.pairs_per_s == pytest.approx(0.2)
    assert late.tokens_per_s == pytest.approx(20)
    assert late.left_s == pytest.approx(8_000 / 20)
    for second in range(51, 151):
        last = pace.add(replace(START, num_scored=second - 40, now=float(second)))
    assert last.pairs_per_s == pytest.approx(1.0, rel=0.1), "old rates are forgotten"


def test_the_time_left_goes_by_tokens_because_documents_differ() -> None:
    pace = Pace()
    pace.add(START)
    short_ones = replace(START, num_scored=80, num_scored_tokens=900, num_open_tokens=8_100, now=10.0)
    assert pace.add(short_ones).left_s == pytest.approx(90), "ten pairs are left, and nine tenths of the work"


def test_progress_without_a_terminal_is_a_first_and_a_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    pace = Pace()
    with ProgressLines(Console(stderr=True, soft_wrap=True)) as lines:
        for scored in range(0, 91, 10):
            lines.show(pace.add(replace(START, num_scored=scored, now=float(scored))), "loading the model")
        lines.show(pace.add(replace(START, num_scored=90, now=91.0)))
    first, last = capsys.readouterr().err.splitlines()
    assert first == "10 of 100 pairs (10%), 10 reused, loading the model"
    assert last.startswith("100 of 100 pairs (100%), ")


def test_a_progress_line_has_all_that_matters() -> None:
    pace = Pace()
    pace.add(START)
    moment = pace.add(
        replace(START, num_scored=40, num_failed=5, num_scored_tokens=4000, num_open_tokens=4500, now=5.0)
    )
    assert progress_sentence(moment) == (
        "55 of 100 pairs (55%), 9 pairs/s, 800 tokens/s, 5.0 s left, 10 reused, 5 failed"
    )


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (StoreFull("sqlite:///x.db", "disk is full"), 4, "disk is full"),
        (OSError(errno.ENOSPC, "No space left on device"), 4, "the same command again"),
        (MemoryError(), 4, "out of memory"),
        (StoreReadOnly("sqlite:///x.db", "read-only"), 3, "read-only"),
        (StoreBusy("The store is locked."), 6, "Run the same command again"),
        (Interrupted(2), 130, "the same command continues"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (ZeroDivisionError("division\nby zero"), 6, "unexpected ZeroDivisionError: division. To see more"),
        (ValueError("redis://ann:s3cret@host/0 is odd"), 6, "redis://ann:***@host/0 is odd"),
        (ValueError("redis://:p@s/s3cret@host/0 is odd"), 6, "redis://:***@host/0 is odd"),
        (ValueError("postgresql://h/d?password=s3cret&a=b is odd"), 6, "//h/d?password=***&a=b is odd"),
    ],
)
def test_each_error_has_its_exit_code_and_one_sentence(error: BaseException, code: int, said: str) -> None:
    found, words = exit_code_and_message(error)
    assert found == code
    assert said in words
    assert len(words.splitlines()) == 1
