"""Cross-encoders of real architecture and size with random weights, made once and kept.

Their numbers mean nothing, their speed is that of a trained one: XLM-RoBERTa with 250,002 tokens and 8,194
positions, as BAAI/bge-reranker-v2-m3 and -base have them.
"""

import json
import math
import random
import re
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks.peers.workloads import even, vocabulary_texts

HERE = Path(__file__).parent.parent
DEMO = HERE.parent / "worker" / "models" / "demo"
MADE = HERE / ".models"
VOCABULARY = 250_002
POSITIONS = 8192
RARE, MAX_WORDS = 4, 60_000
# Latin, Greek, Cyrillic; punctuation, arrows and signs.
CHARACTERS = ((0x21, 0x530), (0x2000, 0x2300))
CALIBRATION_PAIRS, CALIBRATION_TOKENS = 48, 384


class Size(NamedTuple):
    layers: int
    width: int
    heads: int


SIZES = {
    "2x64": Size(2, 64, 4),  # for trying the benchmark itself
    "6x384": Size(6, 384, 12),
    "12x768": Size(12, 768, 12),
    "24x1024": Size(24, 1024, 16),
}


def model_directory(name: str, data: Path | None = None) -> Path:
    """The directory of a size's model, of `demo`, the packaged one, or of a model at a path.

    Always one of our own, for contestants lay their int8 versions into it; made if need be. A made one's
    tokenizer knows the words of `data`.
    """
    directory = MADE / (f"{name}-of-{data.name}" if data and name in SIZES else Path(name).name)
    if not (directory / "complete").exists():
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        if name in SIZES:
            _make(SIZES[name], directory, vocabulary_texts(data))
        elif name == "demo":
            _copy_demo(directory)
        else:
            for path in Path(name).resolve().iterdir():
                (directory / path.name).symlink_to(path)
        even(64, CALIBRATION_TOKENS, CALIBRATION_PAIRS).write(directory / "calibration.jsonl")
        (directory / "complete").touch()
    return directory


def size_of(directory: Path) -> Size:
    config = json.loads((directory / "config.json").read_text())
    return Size(config["num_hidden_layers"], config["hidden_size"], config["num_attention_heads"])


def _make(size: Size, directory: Path, texts: Iterable[str]) -> None:
    import transformers

    torch.manual_seed(1)
    tokenizers: Any = transformers.XLMRobertaTokenizer
    tokenizer = tokenizers(vocab=_vocabulary(texts), model_max_length=POSITIONS)
    make_config: Any = transformers.XLMRobertaConfig
    config = make_config(
        vocab_size=VOCABULARY,
        hidden_size=size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        intermediate_size=4 * size.width,
        max_position_embeddings=POSITIONS + 2,
        type_vocab_size=1,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        num_labels=1,
        initializer_range=size.width**-0.5,  # wide enough that attention and logits depend on the texts
    )
    model: Any = transformers.XLMRobertaForSequenceClassification(config)
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)


def _vocabulary(texts: Iterable[str]) -> list[tuple[str, float]]:
    """The demonstration model's pieces, single characters, words that are not rare in `texts`, and made-up
    pieces that never win. English then has about 1.4 tokens a word, as with the real vocabulary.
    """
    model = json.loads((DEMO / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    special, mask = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)], ("<mask>", 0.0)
    pieces = {piece: float(score) for piece, score in model["vocab"][4:-1] if not piece.startswith("<0x")}
    least = min(pieces.values())
    for first, last in CHARACTERS:
        for character in map(chr, range(first, last)):
            if not character.isspace():
                pieces.setdefault(character, least)
    counts = Counter(word for text in texts for word in re.findall(r"\w+", text))
    for word, count in counts.most_common(MAX_WORDS):
        if count >= RARE:
            pieces.setdefault(f"▁{word}", math.log(count / counts.total()))
    long = [piece for piece in pieces if len(piece) > 2]
    chance = random.Random(1)
    while len(pieces) < VOCABULARY - len(special) - 1:
        made = chance.choice(long) + chance.choice(long).lstrip("▁")
        if len(made) <= 16:
            pieces.setdefault(made, 3 * least)
    return [*special, *pieces.items(), mask]


def _copy_demo(directory: Path) -> None:
    """The demonstration model in fp32, with a tokenizer under the name that older transformers know, too."""
    import transformers

    models: Any = transformers.AutoModelForSequenceClassification
    models.from_pretrained(DEMO, dtype=torch.float32).save_pretrained(directory)
    shutil.copy(DEMO / "tokenizer.json", directory)
    tokenizer = json.loads((DEMO / "tokenizer_config.json").read_text())
    tokenizer.update(tokenizer_class="PreTrainedTokenizerFast", model_max_length=POSITIONS)
    (directory / "tokenizer_config.json").write_text(json.dumps(tokenizer))
