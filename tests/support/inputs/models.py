"""Tiny cross-encoders with random weights: real architectures, real tokenizers, written as a person's
model directory is. Their numbers mean nothing; that they come out right does.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from tests.support.inputs.texts import DOCUMENTS, LONG, QUERIES, STRANGE

VOCABULARY_SIZE = 900
# Wide enough that logits differ by whole units, as a trained model's do.
SPREAD = 0.25
# As wide as a small real reranker: matrix products of this size add up otherwise than tiny ones.
WIDE = "bert-wide"
SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "initializer_range": SPREAD,
    "num_labels": 1,
}


def make_model(family: str, directory: Path) -> Path:
    """Write a random model of `family` and its tokenizer into `directory`; the same bytes each time."""
    return _make(family, directory, transformers.AutoModelForSequenceClassification)


def make_base_model(family: str, directory: Path) -> Path:
    """The same without a head: hidden states are all it gives."""
    return _make(family, directory, transformers.AutoModel)


def _make(family: str, directory: Path, factory: Any) -> Path:
    tokenizer, config = (_FAMILIES | _PADDED)[family]()
    torch.manual_seed(sum(family.encode()))
    model = factory.from_config(config)
    _unsettle(model)
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


def families() -> list[str]:
    return [family for family in _FAMILIES if family != WIDE]


def _unsettle(model: torch.nn.Module) -> None:
    """Give biases and norms random values too, so that none of them can be left out unnoticed."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter) * 0.1)
            if name.endswith(("classifier.weight", "out_proj.weight")):
                parameter.mul_(4)


def _xlm_roberta() -> tuple[Any, Any]:
    special = [(name, 0.0) for name in ("<s>", "<pad>", "</s>", "<unk>")]
    found = _pieces(normalizers.NFKC(), pre_tokenizers.Metaspace(), VOCABULARY_SIZE)
    # Nearly equal scores: fewest pieces win, then the commoner ones.
    pieces = [(piece, -8 - place / 1000) for place, piece in enumerate(found)]
    tokenizer = transformers.XLMRobertaTokenizer(
        vocab=[*special, *pieces, ("<mask>", 0.0)], model_max_length=8192
    )
    config = transformers.XLMRobertaConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=8194,
        type_vocab_size=1,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        **SMALL,
    )
    return tokenizer, config


def _pieces(normalizer: Any, pre_tokenizer: Any, number: int) -> list[str]:
    """Characters, and the commonest pieces of words. The trainers of other kinds of tokenizers than byte
    pairs' give other pieces each time.
    """
    trained = Tokenizer(models.BPE())
    trained.normalizer, trained.pre_tokenizer = normalizer, pre_tokenizer
    trained.train_from_iterator(
        _training_texts(), trainers.BpeTrainer(vocab_size=number, show_progress=False)
    )
    vocabulary = trained.get_vocab()
    return sorted(vocabulary, key=lambda piece: vocabulary[piece])


def _bert() -> tuple[Any, Any]:
    tokenizer = _word_piece_tokenizer()
    config = transformers.BertConfig(vocab_size=len(tokenizer), max_position_embeddings=512, **SMALL)
    return tokenizer, config


def _bert_wide() -> tuple[Any, Any]:
    tokenizer, config = _bert()
    config.update({"hidden_size": 384, "num_attention_heads": 12, "intermediate_size": 1536})
    config.initializer_range = SPREAD / 4
    return tokenizer, config


def _word_piece_tokenizer() -> Any:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    found = _pieces(normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer(), VOCABULARY_SIZE)
    names = [*special, *found, *(f"##{piece}" for piece in found)]
    vocabulary = {name: number for number, name in enumerate(names)}
    return transformers.BertTokenizer(vocab=vocabulary, model_max_length=512)


def _modernbert() -> tuple[Any, Any]:
    trained = _byte_pairs(["[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]"])
    trained.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[(name, trained.token_to_id(name)) for name in ("[CLS]", "[SEP]")],
    )
    fast: Any = transformers.PreTrainedTokenizerFast
    tokenizer = fast(
        tokenizer_object=trained,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=8192,
        model_input_names=["input_ids", "attention_mask"],
    )
    return tokenizer, _modernbert_config(len(tokenizer), "cls")


def _modernbert_mean() -> tuple[Any, Any]:
    tokenizer, _ = _modernbert()
    return tokenizer, _modernbert_config(len(tokenizer), "mean")


def _modernbert_config(vocab_size: int, pooling: str) -> Any:
    make_config: Any = transformers.ModernBertConfig
    return make_config(
        vocab_size=vocab_size,
        max_position_embeddings=8192,
        global_attn_every_n_layers=2,
        local_attention=16,
        classifier_pooling=pooling,
        pad_token_id=1,
        bos_token_id=2,
        eos_token_id=3,
        cls_token_id=2,
        sep_token_id=3,
        **{**SMALL, "num_hidden_layers": 3},
    )


def _roberta() -> tuple[Any, Any]:
    trained = _byte_pairs(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    model = json.loads(trained.to_str())["model"]
    make_tokenizer: Any = transformers.RobertaTokenizer
    tokenizer = make_tokenizer(
        vocab=model["vocab"], merges=[tuple(merge) for merge in model["merges"]], model_max_length=512
    )
    config = transformers.RobertaConfig(
        vocab_size=len(tokenizer), max_position_embeddings=514, type_vocab_size=1, pad_token_id=1, **SMALL
    )
    return tokenizer, config


def _camembert() -> tuple[Any, Any]:
    tokenizer, _ = _roberta()
    config = transformers.CamembertConfig(
        vocab_size=len(tokenizer), max_position_embeddings=514, type_vocab_size=1, pad_token_id=1, **SMALL
    )
    return tokenizer, config


def _byte_pairs(special: list[str]) -> Tokenizer:
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.decoder = decoders.ByteLevel()
    trained.train_from_iterator(
        _training_texts(),
        trainers.BpeTrainer(
            vocab_size=VOCABULARY_SIZE,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return trained


def _electra() -> tuple[Any, Any]:
    tokenizer = _word_piece_tokenizer()
    config = transformers.ElectraConfig(
        vocab_size=len(tokenizer), embedding_size=16, max_position_embeddings=512, **SMALL
    )
    return tokenizer, config


def _deberta() -> tuple[Any, Any]:
    tokenizer = _word_piece_tokenizer()
    make_config: Any = transformers.DebertaV2Config
    config = make_config(
        vocab_size=len(tokenizer),
        max_position_embeddings=512,
        type_vocab_size=0,
        relative_attention=True,
        pos_att_type=["p2c", "c2p"],
        position_buckets=32,
        **SMALL,
    )
    return tokenizer, config


def _mpnet() -> tuple[Any, Any]:
    tokenizer, _ = _roberta()
    config = transformers.MPNetConfig(
        vocab_size=len(tokenizer), max_position_embeddings=514, pad_token_id=1, **SMALL
    )
    return tokenizer, config


def _distilbert() -> tuple[Any, Any]:
    tokenizer = _word_piece_tokenizer()
    make_config: Any = transformers.DistilBertConfig
    config = make_config(
        vocab_size=len(tokenizer), dim=32, n_layers=2, n_heads=4, hidden_dim=64, num_labels=1
    )
    config.initializer_range = SPREAD
    return tokenizer, config


def _albert() -> tuple[Any, Any]:
    tokenizer = _word_piece_tokenizer()
    config = transformers.AlbertConfig(vocab_size=len(tokenizer), embedding_size=16, pad_token_id=0, **SMALL)
    return tokenizer, config


def _fnet() -> tuple[Any, Any]:
    tokenizer = _word_piece_tokenizer()
    config = transformers.FNetConfig(vocab_size=len(tokenizer), pad_token_id=0, **SMALL)
    return tokenizer, config


def _nystromformer() -> tuple[Any, Any]:
    tokenizer = _word_piece_tokenizer()
    make_config: Any = transformers.NystromformerConfig
    config = make_config(
        vocab_size=len(tokenizer), segment_means_seq_len=64, num_landmarks=8, pad_token_id=0, **SMALL
    )
    return tokenizer, config


def _training_texts() -> list[str]:
    return [*QUERIES, *DOCUMENTS, *STRANGE, LONG] * 2


_FAMILIES: dict[str, Callable[[], tuple[Any, Any]]] = {
    "xlm-roberta": _xlm_roberta,
    "bert": _bert,
    WIDE: _bert_wide,
    "modernbert": _modernbert,
    "modernbert-mean": _modernbert_mean,
    "roberta": _roberta,
    "camembert": _camembert,
    "electra": _electra,
    "deberta": _deberta,
}
# Run padded, as DeBERTa does; the last two do not bear it.
_PADDED: dict[str, Callable[[], tuple[Any, Any]]] = {
    "mpnet": _mpnet,
    "distilbert": _distilbert,
    "albert": _albert,
    "fnet": _fnet,
    "nystromformer": _nystromformer,
}
