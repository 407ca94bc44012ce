"""Options that several commands have, as one value each.

Typer reads the options of a command from the parameters of its function. A function under `grouped` has one
parameter for each group, and Typer is shown the options in it.
"""

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from rankmill.producer.command_line import options

if TYPE_CHECKING:
    from rankmill.db.records.rankings import NotificationRequest, Publishing
    from rankmill.db.runtime.settings import Settings
    from rankmill.producer.submission.inputs import Inputs, JobOptions


@dataclass(frozen=True, slots=True)
class PairOptions:
    """Which pairs to score."""

    candidates: options.Candidates = None
    all_pairs: options.AllPairs = False

    def check(self) -> None:
        """Raises UsageError unless one of the two is given."""
        from rankmill.producer.errors import UsageError

        if self.candidates is None and not self.all_pairs:
            raise UsageError(
                "Say which pairs to score: --candidates RUN of a first-stage run, or --all-pairs."
            )
        if self.candidates is not None and self.all_pairs:
            raise UsageError("--candidates and --all-pairs contradict each other: give one of them.")


@dataclass(frozen=True, slots=True)
class InputOptions:
    """What to rank."""

    corpus: options.Corpus = None
    queries: options.Queries = None
    collection: options.CollectionName = None
    query_set: options.QuerySetName = None
    pairs: PairOptions = PairOptions()

    def inputs(self, max_line_bytes: int) -> "Inputs":
        """The sources. Raises UsageError unless each is named once."""
        from rankmill.producer.errors import UsageError
        from rankmill.producer.sources.stored import Collection, QuerySet
        from rankmill.producer.submission.inputs import inputs_from

        if (self.corpus is None) == (self.collection is None):
            raise UsageError("Say which documents to rank: --corpus FILE, or --collection NAME; one of them.")
        if (self.queries is None) == (self.query_set is None):
            raise UsageError(
                "Say which queries to rank for: --queries FILE, or --query-set NAME; one of them."
            )
        self.pairs.check()
        return inputs_from(
            self.corpus or Collection(self.collection or ""),
            self.queries or QuerySet(self.query_set or ""),
            self.pairs.candidates,
            max_line_bytes,
        )


@dataclass(frozen=True, slots=True)
class ScorerOptions:
    """How to score."""

    model: options.Model = None
    revision: options.Revision = None
    precision: options.PrecisionChoice = None
    max_length: options.MaxLength = None
    long_documents: options.LongDocumentsChoice = None
    window: options.Window = None
    stride: options.Stride = None

    def settings(self, **others: str | None) -> "Settings":
        """The settings with these and `others` laid over them. Raises UsageError."""
        from rankmill.producer.settings import settings_from

        return settings_from(asdict(self) | others)


@dataclass(frozen=True, slots=True)
class PublishOptions:
    """Under which ranking results are published."""

    publish: options.Publish = None
    publish_policy: options.PolicyChoice = None
    keep_publications: options.KeepPublications = None

    def publishing(self) -> "Publishing | None":
        """What is asked of the ranking, if one is named. Raises UsageError."""
        from rankmill.db.records.rankings import Publishing, PublishPolicy
        from rankmill.producer.errors import UsageError

        if self.publish is None:
            if self.publish_policy is not None or self.keep_publications is not None:
                raise UsageError("--publish-policy and --keep-publications go with --publish NAME.")
            return None
        policy = self.publish_policy or PublishPolicy.WITHOUT_FAILED
        return Publishing(ranking=self.publish, policy=policy, keep=self.keep_publications)


@dataclass(frozen=True, slots=True)
class NotificationOptions:
    """Who is notified of a job's end."""

    webhook: options.Webhook = None
    then: options.Then = None

    def request(self) -> "NotificationRequest | None":
        from rankmill.db.records.rankings import NotificationRequest

        if self.webhook is None and self.then is None:
            return None
        return NotificationRequest(webhook=self.webhook, then=self.then)


@dataclass(frozen=True, slots=True)
class NewJobOptions:
    """What a job may be given besides inputs and scorer."""

    name: options.Name = None
    priority: options.PriorityChoice = None
    top_k: options.TopK = None
    min_score: options.MinScore = None
    spans: options.Spans = None
    publish: PublishOptions = PublishOptions()
    notify: NotificationOptions = NotificationOptions()

    def job_options(self) -> "JobOptions":
        """The same for `record`. Raises UsageError."""
        from rankmill.producer.submission.inputs import JobOptions

        return JobOptions(
            name=self.name,
            priority=self.priority,
            top_k=self.top_k,
            min_score=self.min_score,
            spans=self.spans,
            publishing=self.publish.publishing(),
            notification=self.notify.request(),
        )


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """The command with every option of its groups as a parameter of its own."""
    signature = inspect.signature(command)
    own = signature.parameters.values()

    @functools.wraps(command)
    def flat(**given: Any) -> None:
        command(**{one.name: _taken(one.name, one.annotation, given) for one in own})

    parameters = [flat_one for one in own for flat_one in _flattened(one.name, one.annotation, one.default)]
    flat.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return flat


def _flattened(name: str, kind: Any, default: Any) -> Iterator[inspect.Parameter]:
    if is_dataclass(kind):
        for field in fields(kind):
            yield from _flattened(field.name, field.type, field.default)
    else:
        yield inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def _taken(name: str, kind: Any, given: dict[str, Any]) -> Any:
    if is_dataclass(kind) and isinstance(kind, type):
        return kind(**{field.name: _taken(field.name, field.type, given) for field in fields(kind)})
    return given[name]
