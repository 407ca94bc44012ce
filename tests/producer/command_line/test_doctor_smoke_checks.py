"""`rankmill doctor --model M` asks the model the smoke checks and says which it fails."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from rankmill.db.records.pairs import PairResults, PairScore, PairTexts
from rankmill.producer.diagnostics.doctor import smoke_check_sentence
from rankmill.worker.checks.smoke_checks import PAIRS, run_smoke_checks
from rankmill.worker.scorer.null_scorer import NullScorer
from rankmill.worker.scorer.protocol import Prepared
from tests.support.processes.rankmill_command import Rankmill

CHECKS = json.loads(PAIRS.read_text(encoding="utf-8"))
WORD = re.compile(r"[\u3400-\u9fff]|[^\W\u3400-\u9fff]+")


def words(text: str) -> set[str]:
    return set(WORD.findall(text.casefold()))


class Reader(NullScorer):
    """Knows the right answers, or gives the number of words that question and answer share."""

    def __init__(self, judge: Callable[[str, str], float]) -> None:
        super().__init__()
        self._judge = judge

    def score(self, prepared: Prepared, should_stop: Callable[[], bool]) -> list[PairResults]:
        return [self._scored(request) for request in prepared.requests]

    def _scored(self, request: PairTexts) -> PairResults:
        scores: Sequence[PairScore] = [
            PairScore(
                *pair, self._judge(*(request.texts[text_id] for text_id in pair)), 0, 1, 1, 1, False, False
            )
            for pair in request.pairs
        ]
        return PairResults(scores=scores, failures=[], num_tokens=1)


def test_a_model_that_reads_passes_every_smoke_check() -> None:
    right = {check["right"] for check in CHECKS}
    reader = Reader(lambda _, answer: float(answer in right))
    assert all(check.is_passed for check in run_smoke_checks(reader))


def test_a_model_that_counts_words_fails_every_smoke_check_but_the_facts() -> None:
    found = run_smoke_checks(Reader(lambda query, answer: float(len(words(query) & words(answer)))))
    assert {check.name for check in found if check.is_passed} <= {"a fact"}


@pytest.mark.parametrize("language", ["en", "zh", "fr", "de", "es"])
def test_the_phone_maker_meets_the_orchard_in_five_languages(language: str) -> None:
    names = [check["name"] for check in CHECKS if check["language"] == language]
    assert names.count("phone maker, orchard") == 1


def test_the_demo_model_runs_and_what_it_fails_is_said(tmp_path: Path) -> None:
    rankmill = Rankmill(tmp_path)
    found = json.loads(rankmill("doctor", "--model", "demo", "--json").stdout)
    [model] = [finding for finding in found["findings"] if finding["part"] == "model"]
    assert found["is_fit"]
    assert [check["name"] for check in model["traps"]] == [check["name"] for check in CHECKS]
    for fact in ("device cpu", "dtype ", "max_length 512", "memory_mib ", "tokens_per_s "):
        assert fact in model["found"]
    failed = [check for check in model["traps"] if not check["is_passed"]]
    assert failed, "a model of English contracts that reads Chinese: look at the smoke checks"
    assert f"{len(CHECKS) - len(failed)} of {len(CHECKS)} smoke checks passed." in smoke_check_sentence(
        model["traps"]
    )
