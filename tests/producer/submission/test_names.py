"""Names: one rule for what is new, and whatever has a name in a store keeps it."""

from typing import Any

import pytest
from sqlalchemy import update

from rankmill.db.corpus.collections import COLLECTIONS, QUERY_SETS, find
from rankmill.db.rankings.catalog import list_rankings
from rankmill.db.records.rankings import Publishing
from rankmill.db.records.scorers import ScorerSpec
from rankmill.db.runtime.settings import Settings
from rankmill.db.schema.collections import collections
from rankmill.db.schema.jobs import jobs
from rankmill.db.schema.rankings import rankings
from rankmill.db.store.store import Store
from rankmill.producer.errors import UsageError
from rankmill.producer.sources.kinds import document_rows, query_rows
from rankmill.producer.submission.inputs import JobOptions, inputs_from
from rankmill.producer.submission.names import check_name
from rankmill.producer.submission.record import Recorded, record
from rankmill.producer.submission.sync import sync

WRONG = ["", " ", "12", "٣", " kb", "kb ", "two\nlines", "tab\t", "x" * 201]


def submit(store: Store, key: str | None = None, **options: Any) -> Recorded:
    inputs = inputs_from({"d1": "one"}, {"q1": "which?"}, None)
    return record(store, inputs, ScorerSpec(model="null"), JobOptions(**options), Settings(), key=key)


@pytest.mark.parametrize("noun", ["job", "schedule", "ranking", "collection", "query set"])
@pytest.mark.parametrize("name", WRONG)
def test_the_same_names_are_refused_for_whatever_is_new(name: str, noun: str) -> None:
    with pytest.raises(UsageError, match=f"^A {noun} cannot be named .*1 to 200 characters"):
        check_name(name, noun)


@pytest.mark.parametrize("name", ["kb", "12a", "two words", "知识库", "x" * 200, "-"])
def test_a_word_is_a_name(name: str) -> None:
    check_name(name, "job")


@pytest.mark.parametrize("name", WRONG)
def test_nothing_is_recorded_under_a_wrong_name(name: str, store: Store) -> None:
    submit(store)  # job 1, so that digits could be its id
    asked_of: list[dict[str, Any]] = [{"name": name}, {"publishing": Publishing(ranking=name, keep=None)}]
    for asked in asked_of:
        with pytest.raises(UsageError, match="cannot be named"):
            submit(store, **asked)
    with pytest.raises(UsageError, match="cannot be named"):
        sync(store, COLLECTIONS, name, document_rows({"d1": "one"}))
    with pytest.raises(UsageError, match="cannot be named"):
        sync(store, QUERY_SETS, name, query_rows({"q1": "which?"}))


def test_an_id_is_no_name_although_a_job_has_it(store: Store) -> None:
    job = submit(store)
    with pytest.raises(UsageError, match="cannot be named"):
        submit(store, name=str(job.job_id))


def test_names_that_earlier_versions_accepted_stay_usable(store: Store) -> None:
    sync(store, COLLECTIONS, "kb", document_rows({"d1": "one"}))
    job = submit(store, name="tonight", publishing=Publishing(ranking="kb", keep=None))
    with store.writing() as connection:
        connection.execute(update(collections).values(name="2026"))
        connection.execute(update(jobs).values(name=" tonight"))
        connection.execute(update(rankings).values(name="kb "))
    sync(store, COLLECTIONS, "2026", document_rows({"d1": "two"}))
    assert find(store, COLLECTIONS, "2026").version == 2
    again = submit(store, name=" tonight", publishing=Publishing(ranking="kb ", keep=None))
    assert (again.job_id, again.warnings) == (job.job_id, ())
    assert [row.name for row in list_rankings(store)] == ["kb "]


def test_a_schedule_of_an_earlier_version_goes_on_under_its_name(store: Store) -> None:
    assert submit(store, key="the schedule's first run", name=" nightly").is_new
