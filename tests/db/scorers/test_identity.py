"""What a scorer is known by: another way to cut windows is another one, and those from before stay theirs."""

import json
from dataclasses import asdict

import pytest

from rankmill.db.records.scorers import (
    LongDocuments,
    Precision,
    ScorerSpec,
    WindowEnds,
    spec_from_json,
    spec_to_json,
)
from rankmill.db.runtime.settings import Settings
from rankmill.db.scorers.identity import spec_digest
from rankmill.db.store.store import Store
from rankmill.producer.submission.scorer import scorer_spec
from tests.support.jobs.small_jobs import SPEC, StandIn, submit

OF_0_1_0 = ScorerSpec(model="demo", files_digest="f", max_length=512)


def test_a_scorer_of_0_1_0_has_the_digest_that_0_1_0_gave_it() -> None:
    assert spec_digest(OF_0_1_0) == "62adde70da4d1e4b43b98904c0e423305fcc3296785fd5b971c2d5b3029351cb"


def test_new_jobs_cut_windows_at_boundaries_and_nothing_else_changes_its_scorer() -> None:
    assert scorer_spec(Settings(model="null")).window_ends is WindowEnds.BOUNDARIES
    for policy in (LongDocuments.TRUNCATE, LongDocuments.ERROR):
        assert scorer_spec(Settings(model="null", long_documents=policy)).window_ends is None


def test_scores_of_windows_cut_otherwise_are_never_mixed(store: Store) -> None:
    submit(store, key="of 0.1.0")
    StandIn(store).drain()
    at_boundaries = ScorerSpec(model="null", window_ends=WindowEnds.BOUNDARIES)
    assert submit(store, key="tonight", scorer=at_boundaries).num_reused == 0
    assert submit(store, key="again", scorer=SPEC).num_reused == 6


ALL = ScorerSpec(
    model="/models/mine",
    revision="v1",
    files_digest="ab" * 32,
    precision=Precision.INT8,
    max_length=512,
    long_documents=LongDocuments.WINDOWS,
    window=96,
    stride=48,
    window_ends=WindowEnds.BOUNDARIES,
)


@pytest.mark.parametrize("spec", [OF_0_1_0, ALL])
def test_a_spec_comes_back_from_json_as_it_was(spec: ScorerSpec) -> None:
    text = json.dumps(spec_to_json(spec))
    found = spec_from_json(json.loads(text) | {"id": 7, "weights_digest": None})
    assert found == spec
    assert [type(value) for value in asdict(found).values()] == [type(v) for v in asdict(spec).values()]
    assert ("window_ends" in text) == (spec is ALL)
