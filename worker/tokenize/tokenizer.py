"""Turns texts into token ids: each text is encoded once, alone, and cached for later pairs.

Knows how a tokenizer joins two texts; knows no length limit and no model.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from threading import Lock
from typing import NamedTuple

import numpy as np
from tokenizers import Encoding, Tokenizer

from rankmill.worker.tokenize.breaks import NO_BREAKS, Breaks, IntArray, find_breaks
from rankmill.worker.tokenize.prefixes import Prefix, prefix_within, usual_length

MAX_CACHED_BYTES = 256 * 2**20
CHUNK_CHARS = 2**20


@dataclass(frozen=True, slots=True)
class TokenizedText:
    """A text's token ids without special tokens, and where each token lies: [start, end) in code points.

    `breaks` are the tokens that begin a sentence or a clause; they are found only in texts long enough to be
    read in windows.
    """

    ids: IntArray
    starts: IntArray
    ends: IntArray
    breaks: Breaks = NO_BREAKS

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def num_bytes(self) -> int:
        breaks = sum(part.nbytes for part in self.breaks)
        return self.ids.nbytes + self.starts.nbytes + self.ends.nbytes + breaks

    def first(self, num_tokens: int) -> "TokenizedText":
        """Its first tokens, copied, so that the rest can be freed."""
        ids, starts, ends = (part[:num_tokens].copy() for part in (self.ids, self.starts, self.ends))
        return TokenizedText(ids, starts, ends)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The code points that tokens [start, end) cover; (0, 0) when there are none."""
        return (int(self.starts[start]), int(self.ends[end - 1])) if start < end else (0, 0)


class CacheKey(NamedTuple):
    """What a tokenized text is cached under; `num_tokens` is None when the whole text was encoded."""

    digest: bytes
    num_tokens: int | None


@dataclass(frozen=True, slots=True)
class PairTemplate:
    """How a tokenizer joins a query and a document: prefix, query, middle, document, suffix.

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
    """The tokenizer joins two texts in a way that this program cannot reproduce."""


def derive_template(tokenizer: Tokenizer, *, has_token_types: bool) -> PairTemplate:
    """Learns the template by encoding a pair of probe texts. Raises NoTemplate when there is none.

    Ignores padding and truncation that were saved with the tokenizer.
    """
    tokenizer.no_truncation()
    tokenizer.no_padding()
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
        raise NoTemplate("it encodes two texts together differently from each alone")
    first, second, third, fourth, fifth = (min(part, default=0) for part in types)
    return PairTemplate(ids[0], ids[2], ids[4], (first, second, third, fourth, fifth))


class CachingTokenizer:
    """Encodes texts on all cores and caches what was used last, up to a bound in bytes.

    The tokenizer is not configured again after this, so threads can share it.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        max_cached_bytes: int = MAX_CACHED_BYTES,
        max_unsplit_tokens: int | None = None,
    ) -> None:
        """Breaks are looked for in texts of more than `max_unsplit_tokens` tokens; by default in none."""
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self._splits_words = _splits_words(tokenizer)
        self._cached: OrderedDict[CacheKey, TokenizedText] = OrderedDict()
        self.num_cached_bytes = 0
        self._max_cached_bytes = max_cached_bytes
        self._max_unsplit_tokens = max_unsplit_tokens
        self._lock = Lock()

    def encode(self, texts: Mapping[int, str], num_tokens: int | None = None) -> dict[int, TokenizedText]:
        """Token ids of texts, by the texts' ids; only the first `num_tokens` of each, if given.

        The cache goes by content and not by id: in another store an id means another text.
        """
        keys = {text_id: CacheKey(_digest(text), num_tokens) for text_id, text in texts.items()}
        with self._lock:
            found = {key: self._cached_text(key) for key in keys.values()}
        missing = {key: texts[text_id] for text_id, key in keys.items() if found[key] is None}
        has_prefixes = num_tokens is not None and self._splits_words
        encoded = self._encode_first(missing) if has_prefixes else self._encode_whole(missing)
        with self._lock:
            for key, text in encoded.items():
                self._cache(key, text)
        encoded.update((key, text) for key, text in found.items() if text is not None)
        return {text_id: encoded[key] for text_id, key in keys.items()}

    def forget(self) -> None:
        """Empties the cache."""
        with self._lock:
            self._cached.clear()
            self.num_cached_bytes = 0

    def _encode_whole(self, texts: Mapping[CacheKey, str]) -> dict[CacheKey, TokenizedText]:
        encoded: dict[CacheKey, TokenizedText] = {}
        for chunk in _chunks(texts.items()):
            encodings = self._tokenizer.encode_batch([text for _, text in chunk], add_special_tokens=False)
            for (key, content), encoding in zip(chunk, encodings, strict=True):
                text = _tokenized(encoding)
                if key.num_tokens is not None:
                    text = text.first(key.num_tokens)
                elif self._max_unsplit_tokens is not None and len(text) > self._max_unsplit_tokens:
                    text = replace(text, breaks=find_breaks(content, text.starts))
                encoded[key] = text
        return encoded

    def _encode_first(self, texts: Mapping[CacheKey, str]) -> dict[CacheKey, TokenizedText]:
        """The first tokens of each text, from as short a prefix of it as gives them for certain.

        A prefix that does not is tried again with twice the length, and in the end the whole text is encoded.
        """
        encoded: dict[CacheKey, TokenizedText] = {}
        lengths = {key: usual_length(key.num_tokens or 0) for key in texts}
        while lengths:
            prefixes = {key: prefix_within(texts[key], length) for key, length in lengths.items()}
            whole = {key: texts[key] for key, prefix in prefixes.items() if prefix is None}
            encoded |= self._encode_whole(whole)
            cut = {key: prefix for key, prefix in prefixes.items() if prefix is not None}
            for chunk in _chunks((key, texts[key][: prefix.end]) for key, prefix in cut.items()):
                encodings = self._tokenizer.encode_batch(
                    [text for _, text in chunk], add_special_tokens=False
                )
                for (key, _), encoding in zip(chunk, encodings, strict=True):
                    first = _trusted(_tokenized(encoding), cut[key], key.num_tokens or 0)
                    if first is not None:
                        encoded[key] = first
            lengths = {key: 2 * length for key, length in lengths.items() if key not in encoded}
        return encoded

    def _cached_text(self, key: CacheKey) -> TokenizedText | None:
        text = self._cached.get(key)
        if text is not None:
            self._cached.move_to_end(key)
        return text

    def _cache(self, key: CacheKey, text: TokenizedText) -> None:
        if key not in self._cached:
            self._cached[key] = text
            self.num_cached_bytes += text.num_bytes
        while self.num_cached_bytes > self._max_cached_bytes:
            _, dropped = self._cached.popitem(last=False)
            self.num_cached_bytes -= dropped.num_bytes


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _tokenized(encoding: Encoding) -> TokenizedText:
    ids = np.asarray(encoding.ids, np.int32)
    offsets = np.fromiter(chain.from_iterable(encoding.offsets), np.int32, 2 * len(ids))
    return TokenizedText(ids, offsets[0::2].copy(), offsets[1::2].copy())


def _splits_words(tokenizer: Tokenizer) -> bool:
    """Whether words are split before the model sees them; if not, a text's end may change its start."""
    splitter = tokenizer.pre_tokenizer
    return splitter is not None and len(splitter.pre_tokenize_str("one two")) > 1


def _trusted(text: TokenizedText, prefix: Prefix, num_tokens: int) -> TokenizedText | None:
    """The first tokens, if the prefix is certain to hold them."""
    if len(text) < num_tokens or text.ends[:num_tokens].max(initial=0) > prefix.trusted_end:
        return None
    return text.first(num_tokens)


def _chunks(texts: Iterable[tuple[CacheKey, str]]) -> Iterable[list[tuple[CacheKey, str]]]:
    """Bounds what is encoded at once: the tokenizer's own encodings take 500 bytes a token."""
    chunk: list[tuple[CacheKey, str]] = []
    num_chars = 0
    for key, text in texts:
        if chunk and num_chars + len(text) > CHUNK_CHARS:
            yield chunk
            chunk, num_chars = [], 0
        chunk.append((key, text))
        num_chars += len(text)
    if chunk:
        yield chunk
