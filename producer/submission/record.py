"""Inputs become a recorded job. The same inputs and the same scorer are the same job.

Knows the order of reading and what a wrong id means for the person who wrote the file; knows no broker.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial

from rankmill.db.errors import DuplicateId, EmptyDraft, UnknownId
from rankmill.db.jobs.amend import amend
from rankmill.db.jobs.publish_requests import request_follow_up
from rankmill.db.jobs.reuse_report import why_nothing_is_reused
from rankmill.db.jobs.span_requests import request_spans
from rankmill.db.records.jobs import JobRequest, Priority, Submission
from rankmill.db.records.scorers import ScorerSpec
from rankmill.db.runtime.settings import Settings
from rankmill.db.store.store import Store
from rankmill.db.submission.draft import Draft, open_draft
from rankmill.db.submission.record import find_submission
from rankmill.db.submission.sharding import slice_pairs
from rankmill.producer.errors import InputError
from rankmill.producer.sources.candidates import read_candidates
from rankmill.producer.sources.documents import read_documents
from rankmill.producer.sources.lines import source_name
from rankmill.producer.sources.queries import read_queries
from rankmill.producer.sources.stored import Collection, QuerySet
from rankmill.producer.submission.inputs import Inputs, JobOptions
from rankmill.producer.submission.job_key import JobKey
from rankmill.producer.submission.names import check_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded(Submission):
    """A job that is in the store; `warnings` say what was asked of one recorded before and cannot be.

    `started_anew` says why nothing is reused of a job before it that was like it, if anything.
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
    """Records the job, or finds the one that was already recorded for the same inputs and scorer.

    That one is given the options, too. Files that were submitted before are recognised by their content
    without being read again. `before_new` is called as soon as it is known that the job is new, and may
    raise. `key` stands for inputs and scorer where given: a night is its own job whatever is in it.
    Nothing is recorded when anything is wrong. Raises InputError, NameTaken and the store's errors.
    """
    check_name(options.name, "job")
    check_name(None if options.publishing is None else options.publishing.ranking, "ranking")
    seen = JobKey(store, inputs, key)
    submission = _found_or_published(store, inputs, scorer, options, settings, seen, before_new)
    warnings: list[str] = []
    if not submission.is_new:
        warnings = amend(
            store,
            submission.job_id,
            name=options.name,
            priority=options.priority,
            top_k=options.top_k,
            min_score=options.min_score,
        )
        if options.publishing is not None or options.notification is not None:
            job_id = submission.job_id
            store.write(lambda sql: request_follow_up(sql, job_id, options.publishing, options.notification))
        if (num_documents := options.spans) is not None:
            recorded_id = submission.job_id
            store.write(lambda sql: request_spans(sql, recorded_id, num_documents))
    is_anew = submission.is_new and not submission.num_reused
    return Recorded(
        **asdict(submission),
        warnings=tuple(warnings),
        started_anew=why_nothing_is_reused(store, submission.job_id) if is_anew else None,
    )


def _found_or_published(
    store: Store,
    inputs: Inputs,
    scorer: ScorerSpec,
    options: JobOptions,
    settings: Settings,
    seen: JobKey,
    before_new: Callable[[], None],
) -> Submission:
    if seen.are_all_files:
        known = _known(store, seen.key(scorer))
        if known is not None:
            seen.check_unchanged()
            return known
        before_new()
    try:
        return _read_and_publish(store, inputs, scorer, options, settings, seen, before_new)
    except DuplicateId as error:
        raise _duplicate(inputs, error) from error
    except UnknownId as error:
        raise InputError(
            source_name(inputs.candidates, "candidates"),
            error.line,
            str(error),
            f"Add the {error.kind} to its file, or remove this line.",
        ) from error
    except EmptyDraft as error:
        raise InputError(
            _name_of(inputs, error.kind), None, str(error), "Check that this is the right file."
        ) from error


def _known(store: Store, key: str) -> Submission | None:
    with store.reading() as connection:
        return find_submission(connection, key)


def _read_and_publish(
    store: Store,
    inputs: Inputs,
    scorer: ScorerSpec,
    options: JobOptions,
    settings: Settings,
    seen: JobKey,
    before_new: Callable[[], None],
) -> Submission:
    longest = settings.max_line_bytes
    with open_draft(store) as draft:
        if isinstance(inputs.queries, QuerySet):
            seen.took("queries", draft.use_query_set(inputs.queries.name))
        else:
            draft.add_queries(seen.passing("queries", read_queries(inputs.queries, max_line_bytes=longest)))
        if inputs.candidates is None:
            draft.use_all_pairs()
        else:
            rows = read_candidates(inputs.candidates, max_line_bytes=longest)
            draft.add_candidates(seen.passing("candidates", rows))
        if isinstance(inputs.corpus, Collection):
            seen.took("documents", draft.use_collection(inputs.corpus.name))
        else:
            documents = read_documents(inputs.corpus, max_line_bytes=longest)
            draft.add_documents(seen.passing("documents", documents))
        _check_size(inputs, draft, settings.max_pairs)
        draft.check()
        seen.check_unchanged()
        key = seen.key(scorer)
        if not seen.are_all_files and _known(store, key) is None:
            before_new()
        request = JobRequest(
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
        return draft.record(request, partial(slice_pairs, shard_tokens=settings.shard_tokens))


def _check_size(inputs: Inputs, draft: Draft, max_pairs: int) -> None:
    """Raises InputError for more pairs than are accepted: all pairs of two long files fill any disk."""
    if inputs.candidates is not None:
        num_pairs, path = draft.num_candidates, source_name(inputs.candidates, "candidates")
        of = "candidates"
    else:
        num_pairs, path = draft.num_queries * draft.num_documents_read, _name_of(inputs, "documents")
        of = f"pairs of {draft.num_queries:,} queries and {draft.num_documents_read:,} documents"
    if num_pairs > max_pairs:
        raise InputError(
            path,
            None,
            f"{num_pairs:,} {of} are more than the {max_pairs:,} that one job may have",
            "Give candidates of a first-stage run, make several jobs, or raise RANKMILL_MAX_PAIRS.",
        )


def _name_of(inputs: Inputs, kind: str) -> str:
    if kind.startswith("quer"):
        return _source_name(inputs.queries, "queries")
    if kind.startswith("document"):
        return _source_name(inputs.corpus, "documents")
    return source_name(inputs.candidates, "candidates")


def _source_name(source: object, kind: str) -> str:
    if isinstance(source, Collection):
        return f"<collection {source.name}>"
    if isinstance(source, QuerySet):
        return f"<query set {source.name}>"
    return source_name(source, kind)


def _duplicate(inputs: Inputs, error: DuplicateId) -> InputError:
    remedy = "Remove one of the two lines." if error.is_same_text else "Give each its own id."
    return InputError(_name_of(inputs, error.kind), error.line, str(error), remedy)
