"""How much of a pair is read: the query's share, and whether a long document is split, cut off or refused.

Pure arithmetic on token counts; knows no text and no model.
"""

from dataclasses import dataclass
from typing import NamedTuple

from rankmill.db.records.scorers import LongDocuments, ScorerSpec, WindowEnds
from rankmill.worker.batching.windows import Window, split_into_windows
from rankmill.worker.errors import LengthUnsupported
from rankmill.worker.tokenize.breaks import NO_BREAKS, Breaks

MIN_DOCUMENT_TOKENS = 8


class Reading(NamedTuple):
    """What is read of a pair. `reason` says why nothing is."""

    num_query_tokens: int
    windows: list[Window]
    is_truncated: bool
    is_query_truncated: bool
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The lengths of one scorer, in tokens.

    `max_length` counts a whole sequence, special tokens included. A query may take three quarters of it, as
    in FlagEmbedding, and must leave MIN_DOCUMENT_TOKENS for the document.
    """

    max_length: int
    num_special_tokens: int
    long_documents: LongDocuments = LongDocuments.WINDOWS
    window: int | None = None
    stride: int | None = None
    window_ends: WindowEnds | None = None

    @property
    def max_query_tokens(self) -> int:
        room = self.max_length - self.num_special_tokens - MIN_DOCUMENT_TOKENS
        return min(self.max_length * 3 // 4, room)

    @property
    def max_tokens_needed(self) -> int | None:
        """How many of a text's first tokens must be known to decide what is read; None for all of them.

        Where ends are cut off, one token more than fits already shows that there is something to cut off.
        """
        return self.max_length + 1 if self.long_documents is LongDocuments.TRUNCATE else None

    @property
    def max_unsplit_tokens(self) -> int | None:
        """A document of at most so many tokens is never split; None when boundaries do not matter."""
        if self.long_documents is not LongDocuments.WINDOWS or self.window_ends is None:
            return None
        room = self.max_length - self.num_special_tokens - self.max_query_tokens
        return min(self.window or room, room)

    def read(self, num_query_tokens: int, num_document_tokens: int, breaks: Breaks = NO_BREAKS) -> Reading:
        """Decides what is read of a pair. Windows end at one of `breaks` where there is one near."""
        num_query = min(num_query_tokens, self.max_query_tokens)
        is_query_truncated = num_query < num_query_tokens
        room = self.max_length - self.num_special_tokens - num_query
        is_truncated = False
        match self.long_documents:
            case LongDocuments.WINDOWS:
                window = min(self.window or room, room)
                stride = min(self.stride or max(1, window * 3 // 4), window)
                windows = split_into_windows(num_document_tokens, window, stride, breaks)
            case LongDocuments.TRUNCATE:
                is_truncated = num_document_tokens > room
                windows = [Window(0, min(num_document_tokens, room))]
            case LongDocuments.ERROR:
                if is_query_truncated:
                    reason = (
                        f"the query has {num_query_tokens} tokens and at most {num_query} of a query are "
                        "read; shorten it, or use --long-documents windows or truncate, which cut its end off"
                    )
                    return Reading(num_query, [], False, is_query_truncated, reason)
                if num_document_tokens > room:
                    reason = (
                        f"the document has {num_document_tokens} tokens and {room} fit beside this query; "
                        "use --long-documents windows or truncate"
                    )
                    return Reading(num_query, [], False, is_query_truncated, reason)
                windows = [Window(0, num_document_tokens)]
        return Reading(num_query, windows, is_truncated, is_query_truncated)


def limits_of(
    spec: ScorerSpec, *, num_positions: int, tokenizer_limit: int | None, num_special_tokens: int
) -> Limits:
    """The limits that a spec sets for a model.

    `num_positions` is how many tokens the model has positions for, `tokenizer_limit` what its tokenizer
    advises. The smaller is the default, `num_positions` the most. Raises LengthUnsupported.
    """
    max_length = spec.max_length or min(num_positions, tokenizer_limit or num_positions)
    limits = Limits(
        max_length=max_length,
        num_special_tokens=num_special_tokens,
        long_documents=spec.long_documents,
        window=spec.window,
        stride=spec.stride,
        window_ends=spec.window_ends,
    )
    if max_length > num_positions:
        reason = f"it reads at most {num_positions} tokens; choose no more, or leave --max-length out"
        raise LengthUnsupported(spec.model, "--max-length", max_length, reason)
    if limits.max_query_tokens < 1:
        least = num_special_tokens + MIN_DOCUMENT_TOKENS + 1
        raise LengthUnsupported(spec.model, "--max-length", max_length, f"at least {least} tokens are needed")
    if spec.window and spec.stride and spec.stride > spec.window:
        reason = f"windows of {spec.window} tokens would leave gaps; choose a stride of at most the window"
        raise LengthUnsupported(spec.model, "--stride", spec.stride, reason)
    return limits
