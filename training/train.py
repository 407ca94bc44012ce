"""Trains the demo model from nothing and writes its directory: tokenizer, weights, configuration.

It knows the order of the work (tokenizer, first embeddings, rounds of training with harder and harder
windows) and leaves each step to its own module. The held-out contracts are seen by no step.
"""

import argparse
import math
import random
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

import torch
from torch.nn import functional
from transformers import (
    AutoTokenizer,
    PreTrainedTokenizerBase,
    XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
)

from training.contracts import Question, read_contracts, read_questions
from training.embeddings import cooccurrence_embeddings, kind_embeddings, wave_positions
from training.groups import NEGATIVES, GroupSampler
from training.mining import mine
from training.tokenizer import train_tokenizer
from training.windows import END, UNMARKED, TokenisedContract, tokenise

VOCABULARY = 8000
WIDTH, LAYERS, HEADS, INNER = 128, 3, 4, 512
POSITIONS = 8194
TRAINED_POSITIONS = 514
SHORT, SHORT_SHARE = 64, 0.3
LENGTHS = {64: 1, 128: 2, 192: 2, 256: 2, 384: 2, 512: 3}
TOKENS_PER_BATCH = 8192
TAGGED_LAYER, KIND_TAGGING, ANSWER_TAGGING = 1, 0.3, 2.0
PEAK_RATE, WARM_UP = 1.5e-3, 0.04
TRIED, KEPT = 600, 60


def first_embeddings(
    contracts: Sequence[TokenisedContract],
    questions: Sequence[Question],
    tokenizer: PreTrainedTokenizerBase,
    seed: int,
) -> torch.Tensor:
    windows = [(contract.tokens, contract.marks) for contract in contracts]
    queries = [
        (tokenizer(phrasing, add_special_tokens=False)["input_ids"], number)
        for number, question in enumerate(questions)
        for phrasing in question.phrasings
    ]
    kinds = kind_embeddings(windows, queries, len(tokenizer), len(questions))
    company = cooccurrence_embeddings(
        [tokens for tokens, _ in windows], len(tokenizer), WIDTH - len(questions), seed
    )
    return torch.cat([kinds, company], dim=1)


def new_model(vocabulary_size: int, embeddings: torch.Tensor) -> XLMRobertaForSequenceClassification:
    model = XLMRobertaForSequenceClassification(
        XLMRobertaConfig(
            vocab_size=vocabulary_size,
            hidden_size=WIDTH,
            num_hidden_layers=LAYERS,
            num_attention_heads=HEADS,
            intermediate_size=INNER,
            # The usual 0.02 suits a width of 768; here it would drown every layer in its own residual.
            initializer_range=WIDTH**-0.5,
            max_position_embeddings=TRAINED_POSITIONS,
            type_vocab_size=1,
            num_labels=1,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            classifier_dropout=0.1,
            bos_token_id=0,
            pad_token_id=1,
            eos_token_id=2,
        )
    )
    # Dropout on the embeddings alone: anywhere else it costs a third of the time and brings little.
    model.roberta.embeddings.dropout.p = 0.1
    with torch.no_grad():
        model.roberta.embeddings.word_embeddings.weight.copy_(embeddings)
        model.roberta.embeddings.position_embeddings.weight.copy_(wave_positions(TRAINED_POSITIONS, WIDTH))
        for layer in model.roberta.encoder.layer:
            # Queries and keys alike: at first every token looks for its equals, and finds the query's words.
            attention = layer.attention.self
            torch.nn.init.orthogonal_(attention.query.weight)
            attention.key.weight.copy_(attention.query.weight)
    return model


class Tagger(torch.nn.Linear):
    """A label for every token, while the model trains; it learns ten times as fast as the rest."""

    def __init__(self, labels: int) -> None:
        super().__init__(WIDTH, labels)
        torch.nn.init.zeros_(self.weight)
        torch.nn.init.constant_(self.bias, -3.0)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return super().forward(states * 10)


def ranking_loss(logits: torch.Tensor) -> torch.Tensor:
    """Ranks the answer within its group, and keeps logits comparable between groups and documents."""
    groups = logits.float().view(-1, 1 + NEGATIVES)
    ranking = functional.cross_entropy(groups, torch.zeros(len(groups), dtype=torch.long))
    answer = functional.softplus(-groups[:, 0]).mean()
    others = functional.softplus(groups[:, 1:]).mean()
    return ranking + 0.5 * (answer + others)


def answer_tagging_loss(answers: torch.Tensor, tokens: torch.Tensor, marks: torch.Tensor) -> torch.Tensor:
    """Asks of every token of the window whether it belongs to the answer to this query.

    One logit a pair is a thin signal for a model that starts from nothing; a label a token makes it read the
    query much sooner. What gives these logits is dropped after training.
    """
    asked = marks[:, 1:2]
    counted = ((tokens == END).cumsum(1) >= 2) & (marks != UNMARKED) & (asked != UNMARKED)
    wanted = ((marks & asked) != 0).float()
    losses = functional.binary_cross_entropy_with_logits(answers[..., 0].float(), wanted, reduction="none")
    return (losses * counted).sum() / counted.sum().clamp_min(1)


def kind_tagging_loss(kinds: torch.Tensor, marks: torch.Tensor) -> torch.Tensor:
    """Asks of every token, the query's and the first too, which kinds of clause it belongs to."""
    wanted = (marks[..., None] >> torch.arange(kinds.shape[-1])) & 1
    losses = functional.binary_cross_entropy_with_logits(kinds.float(), wanted.float(), reduction="none")
    return (losses.sum(-1) * (marks != UNMARKED)).mean()


def rate_at(step: int, steps: int) -> float:
    warm = WARM_UP * steps
    if step < warm:
        return (step + 1) / warm
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))


def length_at(step: int, steps: int, chance: random.Random) -> int:
    """Short windows first: where there is less to read it is plainer what answers and what doesn't."""
    if step <= SHORT_SHARE * steps:
        return SHORT
    return chance.choices(list(LENGTHS), list(LENGTHS.values()))[0]


def train(
    model: XLMRobertaForSequenceClassification,
    sampler: GroupSampler,
    steps: int,
    rounds: int,
    chance: random.Random,
) -> None:
    kind_tagger, answer_tagger = Tagger(len(sampler.questions)), Tagger(1)
    with torch.no_grad():
        # The embeddings' first columns say which kinds a token is usual in: the tagger starts with those.
        kind_tagger.weight[:, : len(sampler.questions)].copy_(0.15 * torch.eye(len(sampler.questions)))
    decayed = [weight for weight in model.parameters() if weight.ndim > 1]
    plain = [weight for weight in model.parameters() if weight.ndim <= 1]
    plain += [*kind_tagger.parameters(), *answer_tagger.parameters()]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.02}, {"params": plain, "weight_decay": 0.0}],
        lr=PEAK_RATE,
        betas=(0.9, 0.98),
        fused=True,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_at(step, steps))
    mining_steps = {steps * number // rounds for number in range(1, rounds)}
    model.train()
    start, recent, tagged = time.perf_counter(), [], []
    for step in range(steps):
        if step in mining_steps:
            sampler.hard = mine(model, sampler.contracts, sampler.questions, sampler, chance, TRIED, KEPT)
            print(f"step {step}: mined, {time.perf_counter() - start:.0f} s", flush=True)
        length = length_at(step, steps, chance)
        tokens, marks = sampler.batch(max(1, TOKENS_PER_BATCH // (length * (1 + NEGATIVES))), length)
        with torch.autocast("cpu", torch.bfloat16):
            found = model(input_ids=tokens, output_hidden_states=True)
            kinds = kind_tagger(found.hidden_states[TAGGED_LAYER])
            answers = answer_tagger(found.hidden_states[-1])
        loss = ranking_loss(found.logits)
        tagging = ANSWER_TAGGING * answer_tagging_loss(answers, tokens, marks)
        (loss + tagging + KIND_TAGGING * kind_tagging_loss(kinds, marks)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        recent.append(loss.item())
        tagged.append(tagging.item())
        if step % 100 == 99:
            seconds = time.perf_counter() - start
            print(
                f"step {step + 1}: loss {mean(recent):.3f}, tagging {mean(tagged):.3f}, {seconds:.0f} s",
                flush=True,
            )
            recent.clear()
            tagged.clear()


def with_all_positions(model: XLMRobertaForSequenceClassification) -> XLMRobertaForSequenceClassification:
    """The same model with XLM-R's long position table: positions past those trained repeat them."""
    first = model.config.pad_token_id + 1
    trained = model.roberta.embeddings.position_embeddings.weight.detach()
    repeated = trained[first:].repeat(math.ceil(POSITIONS / (TRAINED_POSITIONS - first)), 1)
    model.config.max_position_embeddings = POSITIONS
    longer = XLMRobertaForSequenceClassification(model.config)
    weights = model.state_dict()
    weights["roberta.embeddings.position_embeddings.weight"] = torch.cat([trained[:first], repeated])[
        :POSITIONS
    ]
    longer.load_state_dict(weights)
    return longer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the CUAD folder in BEIR layout")
    parser.add_argument("--output", type=Path, required=True, help="the model directory to write")
    parser.add_argument(
        "--tokenizer", type=Path, help="a directory whose tokenizer is used instead of a new one"
    )
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--rounds", type=int, default=3, help="hard windows are mined between rounds")
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    chance = random.Random(options.seed)
    start = time.perf_counter()

    contracts = [contract for contract in read_contracts(options.data) if not contract.held_out]
    questions = read_questions(options.data)
    if options.tokenizer:
        tokenizer = AutoTokenizer.from_pretrained(options.tokenizer)
    else:
        tokenizer = train_tokenizer((contract.text for contract in contracts), VOCABULARY)
    cut = tokenise(contracts, questions, tokenizer)
    model = new_model(len(tokenizer), first_embeddings(cut, questions, tokenizer, options.seed))
    print(
        f"{sum(len(contract.tokens) for contract in cut)} tokens, {time.perf_counter() - start:.0f} s",
        flush=True,
    )

    train(model, GroupSampler(cut, questions, tokenizer, chance), options.steps, options.rounds, chance)
    tokenizer.save_pretrained(options.output)
    with_all_positions(model.eval()).half().save_pretrained(options.output)
    print(f"written after {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
