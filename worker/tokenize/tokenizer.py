"""From texts to token ids: each text is encoded once, alone, and kept for the pairs to come.

Knows no pairs of texts beyond how a tokenizer joins two of them, no lengths limits and no model.
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

from rankmill.worker.tokenize.breaks import ANYWHERE, Breaks, IntArray, find_breaks
from rankmill.worker.tokenize.prefixes import Prefix, first_length, prefix_within

MAX_CACHED_BYTES = 256 * 2**20
CHUNK_CHARS = 2**20


@dataclass(frozen=True, slots=True)
class TokenizedText:
    """A text's token ids without special tokens, and where each token lies: [start, end) in code points.

    `breaks` are the tokens where it may be cut gladly, known of texts long enough to be cut.
    """

    ids: IntArray
    starts: IntArray
    ends: IntArray
    breaks: Breaks = ANYWHERE

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def num_bytes(self) -> int:
        breaks = sum(part.nbytes for part in self.breaks)
        return self.ids.nbytes + self.starts.nbytes + self.ends.nbytes + breaks

    def first(self, num_tokens: int) -> "TokenizedText":
        """Its first tokens, in memory of their own."""
        ids, starts, ends = (part[:num_tokens].copy() for part in (self.ids, self.starts, self.ends))
        return TokenizedText(ids, starts, ends)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The code points of tokens [start, end); (0, 0) when there are none."""
        return (int(self.starts[start]), int(self.ends[end - 1])) if start < end else (0, 0)


class Key(NamedTuple):
    """What a tokenized text is kept under; `num_tokens` is None when all of it was asked for."""

    digest: bytes
    num_tokens: int | None


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
    """Learn the template by encoding a probe pair. Raises NoTemplate when the pair is not so made.

    Padding and truncation that were saved with the tokenizer are left aside.
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
        raise NoTemplate("it encodes two texts together otherwise than each alone")
    first, second, third, fourth, fifth = (min(part, default=0) for part in types)
    return PairTemplate(ids[0], ids[2], ids[4], (first, second, third, fourth, fifth))


class Tokenization:
    """Encodes texts on all cores and keeps what was read last, up to a bound in bytes.

    The tokenizer is never configured after this, so that threads can share it.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        max_cached_bytes: int = MAX_CACHED_BYTES,
        max_uncut_tokens: int | None = None,
    ) -> None:
        """Breaks are looked for in texts of more than `max_uncut_tokens`; in none by default."""
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self._splits_words = _splits_words(tokenizer)
        self._kept: OrderedDict[Key, TokenizedText] = OrderedDict()
        self.num_kept_bytes = 0
        self._max_kept_bytes = max_cached_bytes
        self._max_uncut_tokens = max_uncut_tokens
        self._lock = Lock()

    def encode(self, texts: Mapping[int, str], num_tokens: int | None = None) -> dict[int, TokenizedText]:
        """Token ids of texts, by the texts' ids; only the first `num_tokens` of each, if given.

        Kept by content, not by id: an id may come to mean another text in another store.
        """
        keys = {text_id: Key(_digest(text), num_tokens) for text_id, text in texts.items()}
        with self._lock:
            found = {key: self._recall(key) for key in keys.values()}
        missing = {key: texts[text_id] for text_id, key in keys.items() if found[key] is None}
        has_prefixes = num_tokens is not None and self._splits_words
        encoded = self._encode_first(missing) if has_prefixes else self._encode_whole(missing)
        with self._lock:
            for key, text in encoded.items():
                self._keep(key, text)
        encoded.update((key, text) for key, text in found.items() if text is not None)
        return {text_id: encoded[key] for text_id, key in keys.items()}

    def _encode_whole(self, texts: Mapping[Key, str]) -> dict[Key, TokenizedText]:
        encoded: dict[Key, TokenizedText] = {}
        for chunk in _chunks(texts.items()):
            encodings = self._tokenizer.encode_batch([text for _, text in chunk], add_special_tokens=False)
            for (key, content), encoding in zip(chunk, encodings, strict=True):
                text = _tokenized(encoding)
                if key.num_tokens is not None:
                    text = text.first(key.num_tokens)
                elif self._max_uncut_tokens is not None and len(text) > self._max_uncut_tokens:
                    text = replace(text, breaks=find_breaks(content, text.starts))
                encoded[key] = text
        return encoded

    def _encode_first(self, texts: Mapping[Key, str]) -> dict[Key, TokenizedText]:
        """The first tokens of each text, from as little of it as surely gives them: a few times as many
        characters, twice that while it is not enough, the whole text in the end."""
        encoded: dict[Key, TokenizedText] = {}
        lengths = {key: first_length(key.num_tokens or 0) for key in texts}
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

    def _recall(self, key: Key) -> TokenizedText | None:
        text = self._kept.get(key)
        if text is not None:
            self._kept.move_to_end(key)
        return text

    def _keep(self, key: Key, text: TokenizedText) -> None:
        if key not in self._kept:
            self._kept[key] = text
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


def _splits_words(tokenizer: Tokenizer) -> bool:
    """Whether words are split before the model sees them; without, a text's end may move its first tokens."""
    splitter = tokenizer.pre_tokenizer
    return splitter is not None and len(splitter.pre_tokenize_str("one two")) > 1


def _trusted(text: TokenizedText, prefix: Prefix, num_tokens: int) -> TokenizedText | None:
    """The first tokens if the prefix surely holds them."""
    if len(text) < num_tokens or text.ends[:num_tokens].max(initial=0) > prefix.trusted_end:
        return None
    return text.first(num_tokens)


def _chunks(texts: Iterable[tuple[Key, str]]) -> Iterable[list[tuple[Key, str]]]:
    """Bound what is encoded at once: the tokenizer's own encodings weigh 500 bytes a token."""
    chunk: list[tuple[Key, str]] = []
    num_chars = 0
    for key, text in texts:
        if chunk and num_chars + len(text) > CHUNK_CHARS:
            yield chunk
            chunk, num_chars = [], 0
        chunk.append((key, text))
        num_chars += len(text)
    if chunk:
        yield chunk
