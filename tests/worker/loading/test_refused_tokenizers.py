"""A tokenizer that is not there, is a stub, or is another model's never scores: the reason is told."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
from tokenizers import Tokenizer, models
from transformers import AutoTokenizer
from transformers.utils.import_utils import is_protobuf_available, is_sentencepiece_available

from rankmill.db.records.scorers import Precision, ScorerSpec
from rankmill.producer.errors import MissingPrerequisite
from rankmill.producer.submission.model_folder import check_model_folder
from rankmill.worker.errors import ModelError, TokenizerMissing, TokenizerUnsupported
from rankmill.worker.loading.load import load_scorer
from tests.support.inputs.layouts import change_json
from tests.worker.conftest import ModelDirectory

OF_TOKENIZERS = ("tokenizer.json", "tokenizer_config.json")


@pytest.fixture
def folder(model_directory: ModelDirectory, tmp_path: Path) -> Callable[[str], Path]:
    """A model's directory that a test may spoil."""
    return lambda family: Path(shutil.copytree(model_directory(family), tmp_path / family))


def refused(directory: Path, says: str, error: type[ModelError] = TokenizerUnsupported) -> None:
    with pytest.raises(error, match=says) as caught:
        load_scorer(ScorerSpec(model=str(directory), precision=Precision.FP32), device="cpu")
    assert "tiktoken" not in str(caught.value)


@pytest.mark.parametrize("family", ["bert", "xlm-roberta", "modernbert", "roberta", "deberta"])
@pytest.mark.parametrize("kept", [(), ("tokenizer_config.json",)])
def test_a_folder_without_a_vocabulary(
    folder: Callable[[str], Path], family: str, kept: tuple[str, ...]
) -> None:
    directory = folder(family)
    for name in set(OF_TOKENIZERS) - set(kept):
        (directory / name).unlink()
    refused(
        directory, r"has no tokenizer files \(tokenizer\.json, vocab\.txt.*save_pretrained", TokenizerMissing
    )
    with pytest.raises(MissingPrerequisite, match="has no tokenizer files"):
        check_model_folder("model", directory)


def test_a_hub_cache_of_config_and_weights_only(
    folder: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, commit = tmp_path / "hub", "0123456789abcdef0123456789abcdef01234567"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    home = cache / "models--someone--reranker"
    ignored = shutil.ignore_patterns("*token*")
    shutil.copytree(folder("bert"), home / "snapshots" / commit, ignore=ignored)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(commit)
    with pytest.raises(TokenizerMissing, match="has no tokenizer files"):
        load_scorer(ScorerSpec(model="someone/reranker", precision=Precision.FP32), device="cpu")


def test_half_of_a_vocabulary_of_byte_pairs(folder: Callable[[str], Path]) -> None:
    directory = folder("roberta")
    vocabulary = json.loads((directory / "tokenizer.json").read_text())["model"]["vocab"]
    (directory / "tokenizer.json").unlink()
    (directory / "vocab.json").write_text(json.dumps(vocabulary))
    refused(directory, "has no tokenizer files", TokenizerMissing)


@pytest.mark.parametrize(
    "words", ["", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n", "[PAD]\n[UNK]\n[CLS]\n[SEP]\nzz\n"]
)
def test_an_empty_vocabulary(folder: Callable[[str], Path], words: str) -> None:
    directory = folder("bert")
    (directory / "tokenizer.json").unlink()
    (directory / "vocab.txt").write_text(words)
    refused(directory, "(does not cover ordinary text in any script|cannot read ordinary text).*beside the")


@pytest.mark.parametrize("family", ["bert", "roberta", "xlm-roberta", "modernbert"])
def test_a_stub_in_tokenizer_json(folder: Callable[[str], Path], family: str) -> None:
    directory = folder(family)
    stub = Tokenizer(models.WordLevel({"[UNK]": 0, "[CLS]": 1, "[SEP]": 2}, unk_token="[UNK]"))
    stub.save(str(directory / "tokenizer.json"))
    refused(directory, "cannot be used")


def test_a_tokenizer_of_letters_belongs_to_another_model(folder: Callable[[str], Path]) -> None:
    directory = folder("bert")
    (directory / "tokenizer.json").unlink()
    letters = [prefix + chr(number) for number in range(33, 127) for prefix in ("", "##")]
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters]
    (directory / "vocab.txt").write_text("\n".join(names) + "\n")
    refused(directory, r"it has \d+ tokens, and the model has 1,\d+ embeddings: it belongs to another")


def test_the_tokenizer_of_a_larger_model(
    folder: Callable[[str], Path], model_directory: ModelDirectory
) -> None:
    directory = folder("modernbert")
    for name in OF_TOKENIZERS:
        shutil.copy(model_directory("bert") / name, directory)
    refused(directory, r"numbers up to 1,\d+, and the model has 900 embeddings.*resize_token_embeddings")


def test_a_token_that_was_added_and_has_no_embedding(folder: Callable[[str], Path]) -> None:
    directory = folder("bert")
    tokenizer: Any = AutoTokenizer.from_pretrained(directory)
    tokenizer.add_tokens(["<clause>"])
    tokenizer.save_pretrained(directory)
    refused(directory, r"numbers up to 1,805, and the model has 1,805 embeddings")


def test_a_tokenizer_that_puts_nothing_between_the_texts_of_a_pair(folder: Callable[[str], Path]) -> None:
    directory = folder("modernbert")
    change_json(directory / "tokenizer.json", post_processor=None)
    refused(directory, "puts no special tokens around a pair")


def test_a_template_with_other_tokens_than_those_declared(folder: Callable[[str], Path]) -> None:
    directory = folder("modernbert")
    change_json(directory / "tokenizer_config.json", cls_token="[MASK]")
    refused(directory, r"lack the token that it declares as the first \(cls_token\)")
    change_json(directory / "tokenizer_config.json", cls_token="[CLS]", sep_token="[PAD]")
    refused(directory, r"declares to separate texts \(sep_token\)")


def test_types_of_texts_that_the_model_does_not_know(folder: Callable[[str], Path]) -> None:
    directory = folder("bert")
    processor = json.loads((directory / "tokenizer.json").read_text())["post_processor"]
    for part in processor["pair"]:
        next(iter(part.values()))["type_id"] *= 3
    change_json(directory / "tokenizer.json", post_processor=processor)
    names = ["input_ids", "token_type_ids", "attention_mask"]
    generic = {"tokenizer_class": "PreTrainedTokenizerFast", "model_input_names": names}
    change_json(directory / "tokenizer_config.json", **generic)
    refused(directory, "gives texts the type 3, and the model tells 2 types apart")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": "1.0", "model": {"type": "Horse"}}'])
def test_a_broken_tokenizer_json(folder: Callable[[str], Path], content: str) -> None:
    directory = folder("bert")
    (directory / "tokenizer.json").write_text(content)
    refused(directory, "cannot be used")


@pytest.mark.parametrize(
    ("family", "name"),
    [
        ("xlm-roberta", "sentencepiece.bpe.model"),
        ("camembert", "sentencepiece.bpe.model"),
        ("deberta", "spm.model"),
        ("albert", "spiece.model"),
        ("xlm-roberta", "tokenizer.model"),
    ],
)
def test_a_sentencepiece_model_alone(folder: Callable[[str], Path], family: str, name: str) -> None:
    directory = folder(family)
    (directory / "tokenizer.json").unlink()
    (directory / name).write_bytes(b"\x0a\x0e\x0a\x05<unk>\x15\x00\x00\x00\x00\x18\x02")
    if is_sentencepiece_available() and is_protobuf_available():
        refused(directory, "cannot be used")
        return
    refused(
        directory, rf"sentencepiece model only \({name}\).*not installed.*pip install sentencepiece protobuf"
    )
