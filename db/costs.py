"""What a pair will cost in tokens, guessed from its texts' lengths. Pure; knows no tokenizer.

Only the sizes of shards hang on it, never a score.
"""

from collections.abc import Callable

from db.records import LongDocuments, ScorerSpec

SPECIAL_TOKENS = 4
BYTES_PER_TOKEN = 4


def text_tokens(num_bytes: int) -> int:
    """A guess at the tokens of a text from its UTF-8 bytes; at least one."""
    return max(1, num_bytes // BYTES_PER_TOKEN)


def pair_cost(spec: ScorerSpec) -> Callable[[int, int], int]:
    """The cost function of a scorer: (query tokens, document tokens) -> tokens read, at least one."""
    if spec.long_documents is LongDocuments.TRUNCATE:
        limit = spec.max_length
        return lambda query, document: query + document if limit is None else min(query + document, limit)
    if spec.long_documents is LongDocuments.WINDOWS and (spec.max_length or spec.window):
        return lambda query, document: windowed_cost(spec, query, document)
    return lambda query, document: query + document


def windowed_cost(spec: ScorerSpec, query: int, document: int) -> int:
    """Tokens over all windows: each repeats the query, and the document where they overlap."""
    room = document if spec.max_length is None else max(1, spec.max_length - query - SPECIAL_TOKENS)
    if spec.window is not None:
        room = min(room, spec.window)
    if document <= room:
        return query + document
    stride = max(1, min(spec.stride or room * 3 // 4, room))
    num_more = -(-(document - room) // stride)
    return document + num_more * (room - stride) + (1 + num_more) * query
