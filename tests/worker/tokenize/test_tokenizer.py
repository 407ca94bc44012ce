import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoTokenizer

from rankmill.worker.batching.layout import Layout, PairSequence
from rankmill.worker.tokenize.tokenizer import CachingTokenizer, NoTemplate, derive_template
from tests.support.inputs.models import families
from tests.support.inputs.texts import DOCUMENTS, LONG, QUERIES, STRANGE
from tests.worker.conftest import ModelDirectory

TEXTS = ["", *QUERIES, *DOCUMENTS, *STRANGE]
PAIRS = [(query, document) for query in ("", *QUERIES[::3], *STRANGE) for document in TEXTS]


def stock_and_own(directory: Path) -> tuple[Any, CachingTokenizer, Layout]:
    stock = AutoTokenizer.from_pretrained(directory)
    has_token_types = "token_type_ids" in stock.model_input_names
    template = derive_template(stock.backend_tokenizer, has_token_types=has_token_types)
    own = Tokenizer.from_str(stock.backend_tokenizer.to_str())
    return stock, CachingTokenizer(own), Layout(template, first_position=0)


@pytest.mark.parametrize("family", families())
def test_pairs_put_together_from_ids_equal_the_stock_tokenizers(
    model_directory: ModelDirectory, family: str
) -> None:
    stock, tokenization, layout = stock_and_own(model_directory(family))
    for query, document in PAIRS:
        # As lists: alone, an empty document would be taken for none.
        expected = {name: row[0] for name, row in stock([query], [document]).items()}
        encoded = tokenization.encode({1: query, 2: document})
        sequence = PairSequence(encoded[1], len(encoded[1]), encoded[2], 0, len(encoded[2]))
        batch = layout.batch([sequence], [0])
        ids, positions, types = batch.flat[: 3 * batch.num_tokens].reshape(3, -1).tolist()
        assert ids == expected["input_ids"], (query, document)
        assert types == expected.get("token_type_ids", [0] * len(ids)), (query, document)
        assert positions == list(range(len(ids)))
        assert layout.length(sequence) == len(ids)


@pytest.mark.parametrize("family", families())
def test_spans_are_code_points_of_the_text_as_given(model_directory: ModelDirectory, family: str) -> None:
    stock, tokenization, _ = stock_and_own(model_directory(family))
    for text in TEXTS:
        expected = stock(text, add_special_tokens=False, return_offsets_mapping=True)
        found = tokenization.encode({1: text})[1]
        assert (
            list(zip(found.starts.tolist(), found.ends.tolist(), strict=True)) == expected["offset_mapping"]
        )
        assert all(0 <= start <= end <= len(text) for start, end in expected["offset_mapping"])


@pytest.mark.parametrize("text", [*DOCUMENTS, *STRANGE, LONG])
def test_a_span_decodes_to_the_tokens_it_names(model_directory: ModelDirectory, text: str) -> None:
    """Any stretch of tokens, decoded, is what stands in the text between its span's ends.

    But for a bare word mark at the end, to which the tokenizer gives the next character.
    """
    stock, tokenization, _ = stock_and_own(model_directory("xlm-roberta"))
    found = tokenization.encode({1: text})[1]
    unknown, word_mark = stock.convert_tokens_to_ids(["<unk>", "▁"])
    for start in range(0, len(found), 7):
        for end in range(start + 1, len(found) + 1, 5):
            ids = found.ids[start:end].tolist()
            if unknown in ids or ids[-1] == word_mark:
                continue
            first, last = found.span(start, end)
            decoded = stock.decode(ids, clean_up_tokenization_spaces=False)
            written = unicodedata.normalize("NFKC", text[first:last])
            assert "".join(decoded.split()) == "".join(written.split()), (start, end)


def test_no_tokens_have_an_empty_span(model_directory: ModelDirectory) -> None:
    _, tokenization, _ = stock_and_own(model_directory("bert"))
    nothing = tokenization.encode({1: "   "})[1]
    assert len(nothing) == 0
    assert nothing.span(0, 0) == (0, 0)


class CountingTokenizer:
    """A real tokenizer that counts the texts it encodes."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.pre_tokenizer = tokenizer.pre_tokenizer
        self.num_encoded = self.num_chars = 0

    def no_truncation(self) -> None:
        self.tokenizer.no_truncation()

    def no_padding(self) -> None:
        self.tokenizer.no_padding()

    def encode_batch(self, texts: list[str], *, add_special_tokens: bool) -> object:
        self.num_encoded += len(texts)
        self.num_chars += sum(map(len, texts))
        return self.tokenizer.encode_batch(texts, add_special_tokens=add_special_tokens)


@pytest.fixture
def counting(model_directory: ModelDirectory) -> CountingTokenizer:
    return CountingTokenizer(AutoTokenizer.from_pretrained(model_directory("bert")).backend_tokenizer)


def test_a_text_is_encoded_once_whatever_ids_name_it(counting: CountingTokenizer) -> None:
    tokenization = CachingTokenizer(counting)  # type: ignore[arg-type]
    tokenization.encode({1: "one text", 2: "one text", 3: "another text"})
    tokenization.encode({7: "another text"})
    assert counting.num_encoded == 2


def test_an_id_that_comes_to_mean_another_text_is_not_confused(counting: CountingTokenizer) -> None:
    tokenization = CachingTokenizer(counting)  # type: ignore[arg-type]
    before = tokenization.encode({1: "the river bank"})[1]
    after = tokenization.encode({1: "a savings bank of another kind"})[1]
    assert before.ids.tolist() != after.ids.tolist()


def test_what_is_kept_stays_within_its_bound_and_the_oldest_goes_first(counting: CountingTokenizer) -> None:
    texts = [f"clause number {number} of the contract" for number in range(50)]
    size = CachingTokenizer(counting).encode({1: texts[0]})[1].num_bytes  # type: ignore[arg-type]
    tokenization = CachingTokenizer(counting, max_cached_bytes=20 * size)  # type: ignore[arg-type]
    for text in texts:
        tokenization.encode({1: text, 2: texts[0]})
    assert tokenization.num_cached_bytes <= 20 * size
    counting.num_encoded = 0
    tokenization.encode({1: texts[0], 2: texts[-1]})
    assert counting.num_encoded == 0
    tokenization.encode({1: texts[1]})
    assert counting.num_encoded == 1


def test_a_text_larger_than_the_bound_is_encoded_all_the_same(counting: CountingTokenizer) -> None:
    tokenization = CachingTokenizer(counting, max_cached_bytes=1)  # type: ignore[arg-type]
    assert len(tokenization.encode({1: LONG})[1]) > 100
    assert tokenization.num_cached_bytes == 0


def test_many_threads_share_one_tokenizer(model_directory: ModelDirectory) -> None:
    _, tokenization, _ = stock_and_own(model_directory("xlm-roberta"))
    expected = [tokenization.encode({1: text})[1].ids.tolist() for text in TEXTS]
    tokenization = stock_and_own(model_directory("xlm-roberta"))[1]
    with ThreadPoolExecutor(4) as threads:
        rounds = list(threads.map(lambda _: tokenization.encode(dict(enumerate(TEXTS))), range(8)))
    for found in rounds:
        assert [found[number].ids.tolist() for number in range(len(TEXTS))] == expected


def test_lone_surrogates_are_refused(model_directory: ModelDirectory) -> None:
    _, tokenization, _ = stock_and_own(model_directory("bert"))
    with pytest.raises(UnicodeEncodeError):
        tokenization.encode({1: "half \ud83d a pair"})


@pytest.mark.parametrize("pair", ["$B $A", "$A $B $A"])
def test_a_tokenizer_that_does_not_put_a_document_after_a_query_is_refused(pair: str) -> None:
    words = {word: number for number, word in enumerate(["one", "probe", "another", "longer", "[UNK]"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A", pair=pair, special_tokens=[])
    with pytest.raises(NoTemplate):
        derive_template(tokenizer, has_token_types=False)


def test_positions_start_where_the_model_counts_from(model_directory: ModelDirectory) -> None:
    _, tokenization, layout = stock_and_own(model_directory("xlm-roberta"))
    text = tokenization.encode({1: "one two three"})[1]
    sequences = [PairSequence(text, 1, text, 0, 2), PairSequence(text, 1, text, 1, 2)]
    batch = Layout(layout.template, first_position=2).batch(sequences, [1, 0])
    positions = batch.flat[batch.num_tokens : 2 * batch.num_tokens]
    assert batch.bounds.tolist() == [0, 6, 13]
    assert positions.tolist() == [*range(2, 8), *range(2, 9)]
    assert np.array_equal(batch.flat[3 * batch.num_tokens :], batch.bounds)
