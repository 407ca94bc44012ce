"""What a pair will cost in tokens, estimated from the lengths of its texts. Pure; knows no tokenizer.

Only the sizes of shards and claims depend on it, never a score. It bounds what a worker computes for a claim
and how many bytes of texts it holds: four a token, or BYTES_PER_UNREAD_TOKEN where ends are truncated.
"""

from collections.abc import Callable, Iterable, Iterator

from rankmill.db.records.scorers import LongDocuments, ScorerSpec
from rankmill.db.records.shards import PairCost

SPECIAL_TOKENS = 4
BYTES_PER_TOKEN = 4
# The end of a text is loaded even where no model reads it. At this price a shard of 64 Ki tokens holds 4 MiB
# of texts at most, and a GPU's claim of 16 such shards 64 MiB.
BYTES_PER_UNREAD_TOKEN = 64
# Most models read no more at once. For one that reads more, long documents are overestimated by a third.
USUAL_MAX_LENGTH = 512


def text_tokens(num_bytes: int) -> int:
    """The estimated tokens of a text of so many UTF-8 bytes; at least one."""
    return max(1, num_bytes // BYTES_PER_TOKEN)


def unscored_costs(spec: ScorerSpec, pairs: Iterable[tuple[int, int, bool, int, int]]) -> Iterator[PairCost]:
    """The costs of (pair number, document number, reused, query tokens, document tokens), in stored order.

    A reused pair costs nothing. The first other pair of a document also pays for the end that is not read.
    """
    cost, current = pair_cost(spec), None
    for pair_no, document_no, reused, query_tokens, document_tokens in pairs:
        num_tokens = 0 if reused else cost(query_tokens, document_tokens)
        if not reused and document_no != current:
            current = document_no
            num_tokens += document_cost(spec, document_tokens)
        yield PairCost(pair_no, document_no, num_tokens)


def pair_cost(spec: ScorerSpec) -> Callable[[int, int], int]:
    """The cost function of a scorer: (query tokens, document tokens) -> tokens read, at least one."""
    match spec.long_documents:
        case LongDocuments.TRUNCATE if spec.max_length is not None:
            limit = spec.max_length
            return lambda query, document: min(query + document, limit) + unread_cost(query - limit)
        case LongDocuments.WINDOWS:
            return lambda query, document: windowed_cost(spec, query, document)
        case _:
            return lambda query, document: query + document


def document_cost(spec: ScorerSpec, document: int) -> int:
    """What a document costs once, whatever the number of its pairs: the end that is loaded but not read."""
    is_truncated = spec.long_documents is LongDocuments.TRUNCATE and spec.max_length is not None
    return unread_cost(document - (spec.max_length or 0)) if is_truncated else 0


def unread_cost(num_tokens: int) -> int:
    """What tokens cost that are loaded but not read."""
    return max(0, num_tokens) * BYTES_PER_TOKEN // BYTES_PER_UNREAD_TOKEN


def windowed_cost(spec: ScorerSpec, query: int, document: int) -> int:
    """The tokens of all windows: each repeats the query, and overlapping windows parts of the document."""
    max_length = spec.max_length or USUAL_MAX_LENGTH
    num_query = min(query, max_length * 3 // 4)
    room = max(1, max_length - num_query - SPECIAL_TOKENS)
    if spec.window is not None:
        # Whoever asks for wider windows has a model that reads more.
        room = min(room, spec.window) if spec.max_length else spec.window
    unread = unread_cost(query - num_query)
    if document <= room:
        return num_query + document + unread
    stride = max(1, min(spec.stride or room * 3 // 4, room))
    num_more = -(-(document - room) // stride)
    return document + num_more * (room - stride) + (1 + num_more) * num_query + unread
