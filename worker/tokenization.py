"""From texts to token ids: each text is encoded once, alone, and kept for the pairs to come.

Knows no pairs of texts beyond how a tokenizer joins two of them, no lengths limits and no model.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

IntArray = NDArray[np.int32]

MAX_CACHED_BYTES = 256 * 2**20
CHUNK_CHARS = 4 * 2**20


@dataclass(frozen=True, slots=True)
class TokenizedText:
    """A text's token ids without special tokens, and where each token lies: [start, end) in code points."""

    ids: IntArray
    starts: IntArray
    ends: IntArray

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def num_bytes(self) -> int:
        return self.ids.nbytes + self.starts.nbytes + self.ends.nbytes

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The code points of tokens [start, end); (0, 0) when there are none."""
        return (int(self.starts[start]), int(self.ends[end - 1])) if start < end else (0, 0)


@dataclass(frozen=True, slots=True)
class PairTemplate:
    """How a tokenizer joins a query and a document: prefix query middle document suffix.

    `types` are the token type ids of these five parts.
    """

    prefix: IntArray
    middle: IntArray
    suffix: IntArray
    types: tuple[int, int, int, int, int]

    @property
    def num_special_tokens(self) -> int:
        return len(self.prefix) + len(self.middle) + len(self.suffix)


class NoTemplate(ValueError):
    """The tokenizer joins pairs in a way that cannot be taken apart."""


def derive_template(tokenizer: Tokenizer, *, has_token_types: bool) -> PairTemplate:
    """Learn the template by encoding a probe pair. Raises NoTemplate when the pair is not so made."""
    query, document = "one probe", "another longer probe"
    joined = tokenizer.encode(query, document)
    sides = joined.sequence_ids
    if 0 not in sides or 1 not in sides or sides.index(0) > sides.index(1):
        raise NoTemplate("it does not put a document after a query")
    query_start, document_start = sides.index(0), sides.index(1)
    query_end, document_end = query_start + sides.count(0), document_start + sides.count(1)
    parts = [
        slice(0, query_start),
        slice(query_start, query_end),
        slice(query_end, document_start),
        slice(document_start, document_end),
        slice(document_end, len(sides)),
    ]
    ids = [np.asarray(joined.ids[part], np.int32) for part in parts]
    types = [set(joined.type_ids[part]) if has_token_types else {0} for part in parts]
    alone = [tokenizer.encode(text, add_special_tokens=False).ids for text in (query, document)]
    if ids[1].tolist() != alone[0] or ids[3].tolist() != alone[1] or any(len(part) > 1 for part in types):
        raise NoTemplate("it encodes two texts together otherwise than each alone")
    first, second, third, fourth, fifth = (min(part, default=0) for part in types)
    return PairTemplate(ids[0], ids[2], ids[4], (first, second, third, fourth, fifth))


class Tokenization:
    """Encodes texts on all cores and keeps what was read last, up to a bound in bytes.

    The tokenizer is never configured after this, so that threads can share it.
    """

    def __init__(self, tokenizer: Tokenizer, max_cached_bytes: int = MAX_CACHED_BYTES) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self._kept: OrderedDict[bytes, TokenizedText] = OrderedDict()
        self.num_kept_bytes = 0
        self._max_kept_bytes = max_cached_bytes
        self._lock = Lock()

    def encode(self, texts: Mapping[int, str]) -> dict[int, TokenizedText]:
        """Token ids of texts, by the texts' ids.

        Kept by content, not by id: an id may come to mean another text in another store.
        """
        digests = {text_id: _digest(text) for text_id, text in texts.items()}
        with self._lock:
            found = {digest: self._recall(digest) for digest in digests.values()}
        missing: dict[bytes, str] = {
            digest: texts[text_id] for text_id, digest in digests.items() if found[digest] is None
        }
        encoded: dict[bytes, TokenizedText] = {}
        for chunk in _chunks(missing.items()):
            encodings = self._tokenizer.encode_batch([text for _, text in chunk], add_special_tokens=False)
            for (digest, _), encoding in zip(chunk, encodings, strict=True):
                encoded[digest] = _tokenized(encoding)
        with self._lock:
            for digest, text in encoded.items():
                self._keep(digest, text)
        encoded.update((digest, text) for digest, text in found.items() if text is not None)
        return {text_id: encoded[digest] for text_id, digest in digests.items()}

    def _recall(self, digest: bytes) -> TokenizedText | None:
        text = self._kept.get(digest)
        if text is not None:
            self._kept.move_to_end(digest)
        return text

    def _keep(self, digest: bytes, text: TokenizedText) -> None:
        if digest not in self._kept:
            self._kept[digest] = text
            self.num_kept_bytes += text.num_bytes
        while self.num_kept_bytes > self._max_kept_bytes:
            _, dropped = self._kept.popitem(last=False)
            self.num_kept_bytes -= dropped.num_bytes


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _tokenized(encoding: Encoding) -> TokenizedText:
    ids = np.asarray(encoding.ids, np.int32)
    offsets = np.fromiter(chain.from_iterable(encoding.offsets), np.int32, 2 * len(ids))
    return TokenizedText(ids, offsets[0::2].copy(), offsets[1::2].copy())


def _chunks(texts: Iterable[tuple[bytes, str]]) -> Iterable[list[tuple[bytes, str]]]:
    """Bound what is encoded at once: the tokenizer's own encodings weigh a hundred bytes per token."""
    chunk: list[tuple[bytes, str]] = []
    num_chars = 0
    for digest, text in texts:
        if chunk and num_chars + len(text) > CHUNK_CHARS:
            yield chunk
            chunk, num_chars = [], 0
        chunk.append((digest, text))
        num_chars += len(text)
    if chunk:
        yield chunk
