"""The stock tokenizer of a checked checkpoint, and how it joins pairs.

Padding, truncation and dropout that were saved with it are ignored: they were meant for another use.
"""

from dataclasses import replace
from typing import Any

from tokenizers import Tokenizer, normalizers
from transformers import AutoTokenizer
from transformers.utils.import_utils import is_protobuf_available, is_sentencepiece_available

from rankmill.db.scorers.folder_facts import TOKENIZER, sentencepiece_models
from rankmill.worker.errors import TokenizerUnsupported
from rankmill.worker.loading.files.checkpoint import Checkpoint
from rankmill.worker.tokenize.tokenizer import NoTemplate, PairTemplate, derive_template
from rankmill.worker.tokenize.vocabulary import (
    UnusableVocabulary,
    check_covers,
    check_embeddings,
    check_special_tokens,
)

# Tokenizers without a limit give a number larger than this.
NO_LIMIT = 10**9
OF_ITS_MODEL = (
    "Put the files of the tokenizer that the model was trained with beside the weights, or, if tokens were "
    "added, resize the model's embeddings (resize_token_embeddings) and save both"
)


def load_tokenizer(checkpoint: Checkpoint) -> Any:
    """The stock tokenizer. Raises TokenizerUnsupported when it has no fast form or covers no text."""
    _check_packages(checkpoint)
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            checkpoint.directory, trust_remote_code=False, local_files_only=True
        )
    except Exception as error:  # the tokenizers package raises nothing more special
        raise TokenizerUnsupported(checkpoint.model, _reason(error)) from error
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if not isinstance(backend, Tokenizer):
        raise TokenizerUnsupported(checkpoint.model, "it has no fast form")
    backend.no_truncation()
    backend.no_padding()
    if getattr(backend.model, "dropout", None):
        backend.model.dropout = None
    if checkpoint.modules.transformer.is_lower_case:
        _lower(backend)
    try:
        check_covers(backend, tokenizer.unk_token_id)
    except UnusableVocabulary as error:
        raise TokenizerUnsupported(checkpoint.model, str(error), OF_ITS_MODEL) from error
    return tokenizer


def template_of(checkpoint: Checkpoint, tokenizer: Any) -> PairTemplate:
    """How the tokenizer joins a pair. Raises TokenizerUnsupported."""
    has_token_types = "token_type_ids" in tokenizer.model_input_names
    try:
        template = derive_template(tokenizer.backend_tokenizer, has_token_types=has_token_types)
        check_special_tokens(
            template,
            _ids(tokenizer.cls_token_id, tokenizer.bos_token_id),
            _ids(tokenizer.sep_token_id, tokenizer.eos_token_id),
        )
    except (NoTemplate, UnusableVocabulary) as error:
        raise TokenizerUnsupported(checkpoint.model, str(error)) from error
    return template


def fit_to_model(checkpoint: Checkpoint, tokenizer: Any, template: PairTemplate, model: Any) -> PairTemplate:
    """The template with the types that the model tells apart. Raises TokenizerUnsupported where the numbers
    of tokens or types do not fit its embeddings.
    """
    try:
        check_embeddings(tokenizer.backend_tokenizer, model.get_input_embeddings().weight.shape[0])
    except UnusableVocabulary as error:
        raise TokenizerUnsupported(checkpoint.model, str(error), OF_ITS_MODEL) from error
    num_types = int(getattr(model.config, "type_vocab_size", 0) or 0)
    if num_types < 2:  # of one type there is nothing to tell
        return replace(template, types=(0, 0, 0, 0, 0))
    if (most := max(template.types)) >= num_types:
        reason = f"it gives texts the type {most}, and the model tells {num_types} types apart"
        raise TokenizerUnsupported(checkpoint.model, reason, OF_ITS_MODEL)
    return template


def tokenizer_limit(checkpoint: Checkpoint, tokenizer: Any) -> int | None:
    """The most tokens that are advised for one sequence; None when nothing is advised."""
    limit = checkpoint.modules.transformer.max_length or int(tokenizer.model_max_length)
    return limit if 0 < limit < NO_LIMIT else None


def _ids(declared: int | None, instead: int | None) -> set[int]:
    """The numbers of a declared special token and of the one that may stand in its place."""
    return set() if declared is None else {token for token in (declared, instead) if token is not None}


def _check_packages(checkpoint: Checkpoint) -> None:
    """A sentencepiece model alone is converted by transformers, which needs two packages for that."""
    directory = checkpoint.directory
    models = sentencepiece_models(directory)
    others = ("vocab.txt", "vocab.json", TOKENIZER)
    if not models or any((directory / name).is_file() for name in others):
        return
    if is_sentencepiece_available() and is_protobuf_available():
        return
    raise TokenizerUnsupported(
        checkpoint.model,
        f"it is there as a sentencepiece model only ({models[0].name}), which is converted by the packages "
        "sentencepiece and protobuf, and they are not installed",
        "Install them here (pip install sentencepiece protobuf), or convert it once where they are: "
        "AutoTokenizer.from_pretrained(DIRECTORY).save_pretrained(DIRECTORY)",
    )


def _reason(error: Exception) -> str:
    reason = " ".join(str(error).split())[:300].rstrip(".")
    # What transformers proposes when nothing else helped; it does not help either.
    if "tiktoken" in reason.lower():
        return "transformers cannot make a tokenizer of the files that are there"
    return reason or type(error).__name__


def _lower(backend: Tokenizer) -> None:
    lower = normalizers.Lowercase()
    stock = backend.normalizer
    backend.normalizer = lower if stock is None else normalizers.Sequence([lower, stock])
