"""Trains the demo model's tokenizer: Unigram pieces with XLM-R's special tokens, ids and pair template.

It knows nothing of contracts or queries; it takes any iterable of texts.

Unlike XLM-R's own, the tokenizer folds case (a small model has no weights to spare on capitals) and falls
back to UTF-8 bytes, so no letter of any script becomes <unk>.
"""

import json
from collections.abc import Iterable, Iterator

from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import Unigram
from tokenizers.trainers import UnigramTrainer
from transformers import PreTrainedTokenizerFast

FIRST_PIECES = ["<s>", "<pad>", "</s>", "<unk>"]
MASK = "<mask>"
MODEL_MAX_LENGTH = 512

# Scripts written without spaces: one character is one word here, because every byte piece of a run carries
# the offsets of the whole run, and a window cut at such offsets would be the whole sentence.
UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"


def train_tokenizer(texts: Iterable[str], vocabulary_size: int) -> PreTrainedTokenizerFast:
    """A tokenizer of at most `vocabulary_size` pieces, bytes and special tokens included."""
    byte_pieces = [f"<0x{value:02X}>" for value in range(256)]
    learnt = _unigram_pieces(texts, vocabulary_size - len(FIRST_PIECES) - len(byte_pieces) - 1)
    floor = min(score for _, score in learnt)
    vocabulary = [(piece, 0.0) for piece in FIRST_PIECES]
    vocabulary += learnt
    vocabulary += [(piece, floor) for piece in byte_pieces]
    vocabulary += [(MASK, 0.0)]

    tokenizer = _with_text_rules(Tokenizer(Unigram(vocabulary, unk_id=3, byte_fallback=True)))
    tokenizer.decoder = decoders.Sequence(
        [decoders.ByteFallback(), decoders.Metaspace(replacement="▁", prepend_scheme="always")]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    tokenizer.add_special_tokens([*FIRST_PIECES, AddedToken(MASK, lstrip=True, special=True)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        cls_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token=AddedToken(MASK, lstrip=True, special=True),
        model_max_length=MODEL_MAX_LENGTH,
        model_input_names=["input_ids", "attention_mask"],
        clean_up_tokenization_spaces=False,
    )


def _with_text_rules(tokenizer: Tokenizer) -> Tokenizer:
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace(Regex(r"\s+"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always"),
            pre_tokenizers.Split(Regex(UNSPACED), "isolated"),
        ]
    )
    return tokenizer


def _unigram_pieces(texts: Iterable[str], count: int) -> list[tuple[str, float]]:
    tokenizer = _with_text_rules(Tokenizer(Unigram()))
    trainer = UnigramTrainer(
        vocab_size=count,
        special_tokens=["<unk>"],
        unk_token="<unk>",
        max_piece_length=16,
        show_progress=False,
    )
    tokenizer.train_from_iterator(_lines(texts), trainer)
    pieces = json.loads(tokenizer.to_str())["model"]["vocab"]
    return [(piece, score) for piece, score in pieces if piece != "<unk>"][:count]


def _lines(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield from (line for line in text.splitlines() if line.strip())
