"""Excerpts: the part of a passage that a table has room for. For display only; no score depends on it.

Pure functions of text; knows no model, no store and no terminal.
"""

import re
from collections import Counter

_BEGINNING_CHARS = 6
# Chinese and Japanese write no spaces: there each character counts as a word.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+")
_SENTENCE_END = re.compile(r"(?<=[.!?。！？;；])\s+|\n\s*\n|(?<=[。！？；])")


def printable(text: str) -> str:
    """`text` on one line without control characters, so that a terminal can show a stranger's text."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def shortened(text: str, max_chars: int) -> str:
    """`text`, cut off with a mark if it has more characters than that."""
    return text if len(text) <= max_chars else text[: max_chars - 1].rstrip() + "…"


def excerpt(passage: str, query: str, max_chars: int = 300) -> str:
    """The sentence of `passage` that shares the most characteristic words with `query`, cut to `max_chars`.

    A shared word counts more if it is longer and if fewer sentences of the passage have it. Words with the
    same beginning count as one (terminate, termination). Without shared words it is the first sentence.
    """
    sentences = [sentence for part in _SENTENCE_END.split(passage) if (sentence := printable(part))]
    if not sentences:
        return ""
    words = [_words(sentence) for sentence in sentences]
    num_sentences_with = Counter(word for found in words for word in found)
    asked = _words(query)
    worth = [sum(len(word) / num_sentences_with[word] for word in found & asked) for found in words]
    best = max(range(len(sentences)), key=lambda no: (worth[no], -no))
    text = sentences[best]
    if len(text) < max_chars // 3:
        if best + 1 < len(sentences):  # it may be a heading, which alone says little
            text = f"{text} {sentences[best + 1]}"
        elif best and not _SENTENCE_END.search(f"{text} "):  # the end of the window cut it off
            text = f"{sentences[best - 1]} {text}"
    return shortened(text, max_chars)


def _words(text: str) -> set[str]:
    """The beginnings of its words, in one case."""
    words = _WORD.findall(text.casefold())
    return {word[:_BEGINNING_CHARS] for word in words if len(word) > 1 or not word.isascii()}
