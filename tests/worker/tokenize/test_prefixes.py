"""The first tokens of a long text, read from a part of it, are those of the whole."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoTokenizer

from rankmill.db.records.scorers import LongDocuments
from rankmill.worker.tokenize.prefixes import prefix_within, usual_length
from rankmill.worker.tokenize.tokenizer import CachingTokenizer, TokenizedText
from tests.support.inputs.models import families
from tests.support.inputs.pair_texts import score_pairs
from tests.support.inputs.texts import DOCUMENTS, LONG, QUERIES, STRANGE
from tests.support.repository import ROOT
from tests.worker.conftest import LoadScorer, ModelDirectory
from tests.worker.tokenize.test_tokenizer import CountingTokenizer, stock_and_own

SEPARATORS = (
    "",
    " ",
    "  ",
    "\n",
    "\r\n",
    "\n\n",
    "\t",
    "\u3000",
    "\u00a0",
    ". ",
    "!\n",
    "\u0600 ",
    " \u0301",
)
PIECES = (
    *QUERIES,
    *DOCUMENTS,
    *STRANGE,
    "a1" * 400,
    "条款" * 300,
    "สัญญา" * 90,
    "<mask>",
    "[MASK]",
    "😀" * 50,
)


def as_lists(text: TokenizedText) -> tuple[list[int], list[int], list[int]]:
    return text.ids.tolist(), text.starts.tolist(), text.ends.tolist()


@pytest.mark.parametrize("family", families())
def test_first_tokens_and_their_places_are_the_whole_texts_in_every_script(
    model_directory: ModelDirectory, family: str
) -> None:
    _, tokenization, _ = stock_and_own(model_directory(family))

    @settings(max_examples=60)
    @given(st.integers(0, 2**32), st.integers(1, 150), st.integers(1, 80))
    def check(seed: int, num_tokens: int, num_pieces: int) -> None:
        chosen = random.Random(seed)
        separators = chosen.sample(SEPARATORS, 3)
        text = "".join(
            part for _ in range(num_pieces) for part in (chosen.choice(PIECES), chosen.choice(separators))
        )
        whole = tokenization.encode({1: text})[1]
        found = tokenization.encode({1: text}, num_tokens)[1]
        assert as_lists(found) == as_lists(whole.first(num_tokens))

    check()


def test_of_a_long_text_only_a_small_part_is_encoded(model_directory: ModelDirectory) -> None:
    counting = CountingTokenizer(AutoTokenizer.from_pretrained(model_directory("bert")).backend_tokenizer)
    tokenization = CachingTokenizer(counting)  # type: ignore[arg-type]
    texts = {number: f"{number} " + LONG * 100 for number in range(5)}
    found = tokenization.encode(texts, 65)
    assert {len(text) for text in found.values()} == {65}
    assert counting.num_chars < 10_000 < min(map(len, texts.values())) / 10
    assert tokenization.num_cached_bytes == 5 * 65 * 12
    tokenization.encode(texts, 65)
    assert counting.num_encoded == 5, "what was read is kept"


def test_a_part_with_too_few_tokens_is_doubled(model_directory: ModelDirectory) -> None:
    _, tokenization, _ = stock_and_own(model_directory("bert"))
    text = " " * 20_000 + LONG * 200
    whole = tokenization.encode({1: text})[1]
    assert as_lists(tokenization.encode({1: text}, 100)[1]) == as_lists(whole.first(100))


def test_a_text_without_white_space_is_read_whole() -> None:
    assert prefix_within("条" * 100_000, 1000) is None
    assert prefix_within("word " * 100, 1000) is None
    prefix = prefix_within("word " * 10_000, 1000)
    assert prefix is not None
    assert (prefix.end, prefix.trusted_end) == (999, 739)
    assert usual_length(64) > 512


def test_nothing_is_cut_within_white_space_or_a_line_end() -> None:
    text = "word" + " \r\n" * 1000 + "end " * 20_000
    for num_chars in range(1000, 8000, 97):
        prefix = prefix_within(text, num_chars)
        if prefix is not None:
            assert all(text[end - 1] == "d" for end in prefix)


def test_a_tokenizer_that_does_not_split_words_reads_texts_whole() -> None:
    words: dict[str, int] = {character: number for number, character in enumerate("abcdef ")}
    tokenizer = Tokenizer(models.BPE(words, []))
    tokenizer.decoder = decoders.BPEDecoder()
    counting = CountingTokenizer(tokenizer)
    text = "abc def " * 2_000
    assert len(CachingTokenizer(counting).encode({1: text}, 10)[1]) == 10  # type: ignore[arg-type]
    assert counting.num_chars == len(text)
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    counting = CountingTokenizer(tokenizer)
    CachingTokenizer(counting).encode({1: text}, 10)  # type: ignore[arg-type]
    assert counting.num_chars < len(text) / 10


def test_the_demo_model_reads_first_tokens_as_the_whole_texts(model_directory: ModelDirectory) -> None:
    demo = ROOT / "worker" / "models" / "demo"
    _, tokenization, _ = stock_and_own(demo)
    for text in (LONG * 20, " ".join(STRANGE) * 30):
        whole = tokenization.encode({1: text})[1]
        for num_tokens in (1, 17, 129, 513):
            found = tokenization.encode({1: text}, num_tokens)[1]
            assert as_lists(found) == as_lists(whole.first(num_tokens))


@pytest.mark.parametrize("family", ["xlm-roberta", "bert"])
def test_a_cut_documents_score_does_not_depend_on_what_was_cut(load: LoadScorer, family: str) -> None:
    scorer = load(family, long_documents=LongDocuments.TRUNCATE, max_length=64)
    one, other = LONG * 3, LONG * 100
    first, second = score_pairs(scorer, [(QUERIES[0], one), (QUERIES[0], other)])
    assert first[2:] == second[2:]
    assert first.truncated


def test_one_token_more_than_fits_is_enough_to_be_called_cut(load: LoadScorer) -> None:
    scorer = load("bert", long_documents=LongDocuments.TRUNCATE, max_length=64)
    room = 64 - scorer.layout.template.num_special_tokens
    fits, cut = score_pairs(scorer, [("", "bank " * room), ("", "bank " * (room + 1))])
    assert (fits.truncated, cut.truncated) == (False, True)
    assert fits.logit == cut.logit
