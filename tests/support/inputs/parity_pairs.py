"""Pairs that every reranker must read alike: five languages, and what breaks careless code.

Kept in one order: the reference logits beside the tests are of these pairs, by position.
"""

import unicodedata

from tests.support.inputs.pair_texts import all_pairs
from tests.support.inputs.texts import DOCUMENTS, LONG, QUERIES, STRANGE

MAX_LENGTH = 512
WORD_OF_100_000_LETTERS = "a" * 100_000
ACCENTS = "Où naît l'été ? Ångström, Việt Nam, ﬁn, é̂."

PARITY_PAIRS = [
    *all_pairs(QUERIES, DOCUMENTS[::2]),
    *all_pairs(QUERIES[::5], STRANGE),
    *all_pairs(["", "x", " ", "\u200b", "مدة الإشعار؟", "מה תקופת ההודעה?"], ["", "x", "   ", DOCUMENTS[0]]),
    ("?", "\x01\x02 control \x1f characters \x7f\x85"),
    ("?", "zero\u200bwidth \u200d\u200c\u2060 and \ufeff marks"),
    ("Wo?", unicodedata.normalize("NFC", ACCENTS)),
    ("Wo?", unicodedata.normalize("NFD", ACCENTS)),
    (QUERIES[0], LONG),
    (QUERIES[2], LONG * 3),
    (QUERIES[4], WORD_OF_100_000_LETTERS),
    (QUERIES[6], "word " * 2_000),
]
