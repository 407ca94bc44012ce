"""What a scorer is known by: another way to cut windows is another one, and those from before stay theirs."""

from rankmill.db.records.scorers import LongDocuments, ScorerSpec, WindowEnds
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
