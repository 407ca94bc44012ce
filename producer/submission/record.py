"""Inputs become a recorded job. The same inputs and the same scorer are the same job.

Knows the order of reading and what a wrong id means for the person who wrote the file; knows no broker.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial

from rankmill.db.errors import EmptyDraft, UnknownId
from rankmill.db.jobs.amend import amend
from rankmill.db.jobs.find import find_job
from rankmill.db.jobs.publish_requests import request_follow_up
from rankmill.db.jobs.reuse_report import why_nothing_is_reused
from rankmill.db.jobs.span_requests import request_spans
from rankmill.db.rankings.catalog import find as find_ranking
from rankmill.db.records.jobs import JobRequest, Priority, Submission
from rankmill.db.records.scorers import ScorerSpec
from rankmill.db.runtime.settings import Settings
from rankmill.db.store.store import Store
from rankmill.db.submission.draft import Draft, open_draft
from rankmill.db.submission.record import find_submission
from rankmill.db.submission.sharding import slice_pairs
from rankmill.producer.errors import InputError
from rankmill.producer.sources.source import read_source
from rankmill.producer.submission.inputs import Inputs, JobOptions
from rankmill.producer.submission.job_key import job_key
from rankmill.producer.submission.names import check_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded(Submission):
    """A job that is in the store.

    `warnings` say which options a job recorded before could not be given. `started_anew` says why nothing
    of a similar earlier job is reused, if there is one.
    """

    warnings: tuple[str, ...] = ()
    started_anew: str | None = None


def record(
    store: Store,
    inputs: Inputs,
    scorer: ScorerSpec,
    options: JobOptions,
    settings: Settings,
    *,
    before_new: Callable[[], None] = lambda: None,
    key: str | None = None,
) -> Recorded:
    """Records the job, or finds the one that was recorded before for the same inputs and scorer.

    A job found is given the options, too. Files that were submitted before are recognised by their content
    and not read again. `before_new` is called as soon as it is known that the job is new, and may raise.
    `key` takes the place of inputs and scorer: each run of a schedule is a job of its own.
    Nothing is recorded when anything is wrong. Raises UsageError, InputError, NameTaken and the store's
    errors.
    """
    if key is None:  # a schedule's name was checked when it was added
        _check_names(store, options)
    identities = _identities(store, inputs)
    if identities is not None:
        known = _find(store, key or job_key(scorer, identities))
        if known is not None:
            _check_unchanged(inputs)
            return _amended(store, known, options)
        before_new()
    with open_draft(store) as draft, _draft_errors(inputs):
        read = {name: read_source(source, draft) for name, source in inputs._asdict().items()}
        _check_size(draft, inputs, settings.max_pairs)
        draft.check()
        _check_unchanged(inputs)
        key = key or job_key(scorer, read)
        if identities is None and _find(store, key) is None:
            before_new()
        slicer = partial(slice_pairs, shard_tokens=settings.shard_tokens)
        submission = draft.record(_request(key, scorer, options), slicer)
    if not submission.is_new:
        return _amended(store, submission, options)
    started_anew = None if submission.num_reused else why_nothing_is_reused(store, submission.job_id)
    return Recorded(**asdict(submission), started_anew=started_anew)


def _check_names(store: Store, options: JobOptions) -> None:
    if options.name is not None:
        # Digits only would find a job by its id; no version accepted them as a name.
        check_name(options.name, "job", None if options.name.isdecimal() else partial(find_job, store))
    if options.publishing is not None:
        check_name(options.publishing.ranking, "ranking", partial(find_ranking, store))


def _identities(store: Store, inputs: Inputs) -> dict[str, str] | None:
    """The identity of every source; None where one is known only once it is read."""
    found = {name: source.identity(store) for name, source in inputs._asdict().items()}
    known = {name: identity for name, identity in found.items() if identity is not None}
    return known if len(known) == len(found) else None


def _find(store: Store, key: str) -> Submission | None:
    with store.reading() as connection:
        return find_submission(connection, key)


def _check_unchanged(inputs: Inputs) -> None:
    for source in inputs:
        source.check_unchanged()


def _request(key: str, scorer: ScorerSpec, options: JobOptions) -> JobRequest:
    return JobRequest(
        key=key,
        name=options.name,
        scorer=scorer,
        priority=options.priority or Priority.NORMAL,
        top_k=options.top_k,
        min_score=options.min_score,
        publishing=options.publishing,
        notification=options.notification,
        spans=options.spans,
    )


def _amended(store: Store, submission: Submission, options: JobOptions) -> Recorded:
    """The job that was recorded before, with the options it could be given."""
    job_id = submission.job_id
    warnings = amend(
        store,
        job_id,
        name=options.name,
        priority=options.priority,
        top_k=options.top_k,
        min_score=options.min_score,
    )
    if options.publishing is not None or options.notification is not None:
        store.write(lambda sql: request_follow_up(sql, job_id, options.publishing, options.notification))
    if (num_documents := options.spans) is not None:
        store.write(lambda sql: request_spans(sql, job_id, num_documents))
    return Recorded(**asdict(submission), warnings=tuple(warnings))


def _check_size(draft: Draft, inputs: Inputs, max_pairs: int) -> None:
    """Raises InputError for more pairs than are accepted: all pairs of two long files fill any disk."""
    if draft.is_all_pairs:
        num_pairs, source = draft.num_queries * draft.num_documents_read, inputs.documents
        of = f"pairs of {draft.num_queries:,} queries and {draft.num_documents_read:,} documents"
    else:
        num_pairs, source, of = draft.num_candidates, inputs.candidates, "candidates"
    if num_pairs > max_pairs:
        raise InputError(
            source.label,
            None,
            f"{num_pairs:,} {of} are more than the {max_pairs:,} that one job may have",
            "Give candidates of a first-stage run, make several jobs, or raise RANKMILL_MAX_PAIRS.",
        )


@contextmanager
def _draft_errors(inputs: Inputs) -> Iterator[None]:
    """Errors of a draft, at the input that a person can look at."""
    try:
        yield
    except UnknownId as error:
        remedy = f"Add the {error.kind} to its file, or remove this line."
        raise InputError(inputs.candidates.label, error.line, str(error), remedy) from error
    except EmptyDraft as error:
        label = inputs._asdict()[error.kind].label
        raise InputError(label, None, str(error), "Check that this is the right file.") from error
