"""The scorer of a schedule as its row keeps it, also in rows that the versions before wrote."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from rankmill.db.records.scorers import LongDocuments, Precision, WindowEnds
from rankmill.db.runtime.settings import Settings
from rankmill.producer.schedules.request import scorer_of, scorer_settings
from rankmill.producer.submission.scorer import scorer_spec

# As version 0.1.0 and those after it wrote them.
RECORDED = {
    "windows": (
        '{"model": "demo", "revision": null, "precision": "fp32", "max_length": 256, '
        '"long_documents": "windows", "window": 96, "stride": 48}'
    ),
    "defaults": (
        '{"model": "BAAI/bge-reranker-v2-m3", "revision": "main", "precision": "auto", "max_length": null, '
        '"long_documents": "truncate", "window": null, "stride": null}'
    ),
}


@pytest.mark.parametrize("kind", RECORDED)
def test_a_recorded_scorer_is_loaded_and_written_as_it_was(kind: str) -> None:
    facts: Mapping[str, Any] = json.loads(RECORDED[kind])
    mine = Settings(model="null", precision=Precision.INT8, window=8, stride=8, max_length=64, max_pairs=7)
    loaded = scorer_settings(mine, facts)
    assert loaded.max_pairs == 7
    assert (loaded.precision, loaded.long_documents) == (facts["precision"], facts["long_documents"])
    assert (type(loaded.precision), type(loaded.long_documents)) == (Precision, LongDocuments)
    assert json.dumps(scorer_of(loaded)) == RECORDED[kind]


def test_the_windows_of_a_recorded_scorer_end_where_those_of_a_new_job_do() -> None:
    spec = scorer_spec(scorer_settings(Settings(), json.loads(RECORDED["windows"])))
    assert (spec.window, spec.stride, spec.window_ends) == (96, 48, WindowEnds.BOUNDARIES)
    assert spec.files_digest is not None
    assert scorer_spec(scorer_settings(Settings(), json.loads(RECORDED["defaults"]))).window_ends is None
