"""Layouts in which people have rerankers: each is a change to a folder that save_pretrained() wrote.

None of them changes what the model is; scores are those of the folder as it was, but for rounded weights.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file

WEIGHTS = "model.safetensors"
Change = Callable[[Path], None]


def change_json(path: Path, *without: str, **settings: Any) -> None:
    """Sets and drops keys of a JSON file, which is made if it is not there."""
    content = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps({key: content[key] for key in content if key not in without} | settings))


def change_weights(directory: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    weights = load_file(directory / WEIGHTS)
    change(weights)
    save_file(weights, directory / WEIGHTS, metadata={"format": "pt"})


def as_saved(_: Path) -> None:
    """As save_pretrained() wrote it."""


def in_a_trainers_folder(directory: Path) -> None:
    """A trainer's output: earlier checkpoints, and the state of training, in pickles."""
    for step in (500, 1000):
        earlier = directory / f"checkpoint-{step}"
        shutil.copytree(directory, earlier, ignore=shutil.ignore_patterns("checkpoint-*"))
        change_weights(earlier, lambda weights: weights["classifier.bias"].add_(7))
    for folder in (directory, directory / "checkpoint-500"):
        for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin"):
            torch.save({"step": 1}, folder / name)
        (folder / "trainer_state.json").write_text('{"global_step": 1000}')
    (directory / "runs").mkdir()


def by_sentence_transformers_2(directory: Path) -> None:
    change_json(
        directory / "config.json", sbert_ce_default_activation_function="torch.nn.modules.linear.Identity"
    )
    (directory / "CEBinaryClassificationEvaluator_results.csv").write_text("epoch,steps,Accuracy\n")


def by_sentence_transformers_4(directory: Path) -> None:
    settings = {"activation_fn": "torch.nn.modules.activation.Sigmoid", "version": "4.1.0"}
    change_json(directory / "config.json", sentence_transformers=settings)


def by_sentence_transformers_6(directory: Path) -> None:
    """modules.json with the one module that gives scores."""
    module = "sentence_transformers.base.modules.transformer.Transformer"
    (directory / "modules.json").write_text(json.dumps([{"idx": 0, "name": "0", "path": "", "type": module}]))
    named: dict[str, Any] = {"model_type": "CrossEncoder", "prompts": {}, "default_prompt_name": None}
    change_json(directory / "config_sentence_transformers.json", **named)
    way = {"text": {"method": "forward", "method_output_name": "logits"}}
    settings = {"transformer_task": "sequence-classification", "modality_config": way}
    change_json(directory / "sentence_bert_config.json", **settings, module_output_name="scores")


def with_unused_prompts(directory: Path) -> None:
    """Prompts that are used only where they are asked for by name."""
    by_sentence_transformers_6(directory)
    change_json(directory / "config_sentence_transformers.json", prompts={"query": "search: "})


def with_exports_beside(directory: Path) -> None:
    for name in ("onnx/model.onnx", "onnx/model_qint8_avx512.onnx", "openvino/openvino_model.xml"):
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"not for us")
    shutil.copy(directory / "config.json", directory / "onnx")
    (directory / "pytorch_model.bin").write_bytes(b"not even a pickle")


def in_shards(directory: Path) -> None:
    model: Any = transformers.AutoModelForSequenceClassification.from_pretrained(directory)
    (directory / WEIGHTS).unlink()
    model.save_pretrained(directory, max_shard_size="60KB")


def with_num_labels_only(directory: Path) -> None:
    change_json(directory / "config.json", "id2label", "label2id", num_labels=1)


def with_labels_of_the_model_before(directory: Path) -> None:
    """Names of three labels, left by the model that it was trained from; the number is right."""
    names = {"0": "contradiction", "1": "entailment", "2": "neutral"}
    change_json(directory / "config.json", id2label=names, num_labels=1)


def with_an_attention_that_is_not_installed(directory: Path) -> None:
    named = {"attn_implementation": "flash_attention_2", "_attn_implementation": "flash_attention_2"}
    change_json(directory / "config.json", **named)


def without_architectures(directory: Path) -> None:
    change_json(directory / "config.json", "architectures")


def with_a_named_label(directory: Path) -> None:
    change_json(directory / "config.json", id2label={"0": "relevance"}, label2id={"relevance": 0})


def with_fixed_padding(directory: Path) -> None:
    """Saved after padding="max_length", truncation=True."""
    path = directory / "tokenizer.json"
    pad = json.loads(path.read_text())["added_tokens"][0]["content"]
    truncation = {"direction": "Right", "max_length": 16, "strategy": "LongestFirst", "stride": 0}
    padding = {"strategy": {"Fixed": 16}, "direction": "Left", "pad_to_multiple_of": None, "pad_id": 0,
               "pad_type_id": 0, "pad_token": pad}  # fmt: skip
    change_json(path, truncation=truncation, padding=padding)


def with_short_truncation(directory: Path) -> None:
    """Cut shorter than any pair, to a multiple of eight."""
    truncation = {"direction": "Left", "max_length": 3, "strategy": "OnlySecond", "stride": 1}
    padding = {"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": 8, "pad_id": 0,
               "pad_type_id": 0, "pad_token": "[PAD]"}  # fmt: skip
    change_json(directory / "tokenizer.json", truncation=truncation, padding=padding)


def with_dropout_in_the_tokenizer(directory: Path) -> None:
    """Byte pairs that are merged by chance, as in training: each run would give other scores."""
    path = directory / "tokenizer.json"
    change_json(path, model=json.loads(path.read_text())["model"] | {"dropout": 0.5})


def with_a_vocabulary_in_lines(directory: Path) -> None:
    vocabulary = json.loads((directory / "tokenizer.json").read_text())["model"]["vocab"]
    (directory / "vocab.txt").write_text("\n".join(sorted(vocabulary, key=vocabulary.get)) + "\n")
    (directory / "tokenizer.json").unlink()


def with_a_vocabulary_and_merges(directory: Path) -> None:
    model = json.loads((directory / "tokenizer.json").read_text())["model"]
    (directory / "vocab.json").write_text(json.dumps(model["vocab"]))
    merges = (" ".join(merge) if isinstance(merge, list) else merge for merge in model["merges"])
    (directory / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    (directory / "tokenizer.json").unlink()


def with_an_untyped_tokenizer(directory: Path) -> None:
    """A generic class, which gives types of texts to a model that has one type only."""
    settings = {"tokenizer_class": "PreTrainedTokenizerFast"}
    names = ["input_ids", "token_type_ids", "attention_mask"]
    change_json(directory / "tokenizer_config.json", **settings, model_input_names=names)
    path = directory / "tokenizer.json"
    processor = json.loads(path.read_text())["post_processor"]
    for part in processor["pair"][-2:]:
        next(iter(part.values()))["type_id"] = 1
    change_json(path, post_processor=processor)


def with_what_other_tasks_left(directory: Path) -> None:
    """Heads of pre-training, and buffers that old versions stored."""

    def add(weights: dict[str, torch.Tensor]) -> None:
        width = weights["bert.pooler.dense.weight"].shape[0]
        weights["cls.predictions.transform.dense.weight"] = torch.zeros(width, width)
        weights["cls.predictions.bias"] = torch.zeros(9)
        weights["cls.seq_relationship.weight"] = torch.zeros(2, width)
        weights["bert.embeddings.position_ids"] = torch.arange(512).unsqueeze(0)

    change_weights(directory, add)


def with_an_unused_pooler(directory: Path) -> None:
    change_weights(directory, lambda weights: weights.update({"roberta.pooler.dense.bias": torch.zeros(32)}))


def in_float16(directory: Path) -> None:
    _in_type(directory, torch.float16)


def in_bfloat16(directory: Path) -> None:
    _in_type(directory, torch.bfloat16)


def in_float64(directory: Path) -> None:
    _in_type(directory, torch.float64)


def _in_type(directory: Path, dtype: torch.dtype) -> None:
    change_weights(
        directory, lambda weights: weights.update({name: weights[name].to(dtype) for name in weights})
    )
    change_json(directory / "config.json", dtype=str(dtype).removeprefix("torch."))


ROUNDED = (in_float16, in_bfloat16)
LAYOUTS: tuple[tuple[str, Change], ...] = (
    *(
        ("bert", change)
        for change in (
            as_saved,
            in_a_trainers_folder,
            by_sentence_transformers_2,
            by_sentence_transformers_4,
            by_sentence_transformers_6,
            with_unused_prompts,
            with_exports_beside,
            in_shards,
            with_an_attention_that_is_not_installed,
            with_num_labels_only,
            with_labels_of_the_model_before,
            without_architectures,
            with_a_named_label,
            with_fixed_padding,
            with_short_truncation,
            with_a_vocabulary_in_lines,
            with_what_other_tasks_left,
            *ROUNDED,
            in_float64,
        )
    ),
    ("xlm-roberta", with_fixed_padding),
    ("xlm-roberta", in_shards),
    ("modernbert", with_fixed_padding),
    ("modernbert", by_sentence_transformers_6),
    ("roberta", with_dropout_in_the_tokenizer),
    ("roberta", with_a_vocabulary_and_merges),
    ("xlm-roberta", with_an_untyped_tokenizer),
    ("roberta", with_an_unused_pooler),
    ("deberta", with_fixed_padding),
    *((family, as_saved) for family in ("mpnet", "distilbert", "albert", "electra", "camembert")),
)
