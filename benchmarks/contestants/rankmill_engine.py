"""Rankmill's engine alone: the scorer that a worker loads, fed claim after claim, without a store.

As in a worker, pairs of one document stand together and a thread makes the next claim ready meanwhile.
Nothing tokenised is kept from one order to the next.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.contestants.protocol import Answer, Order, Pairs, Setup, read_pairs, serve
from rankmill.db.records.pairs import PairTexts, TextPair
from rankmill.db.records.scorers import LongDocuments, Precision, ScorerSpec
from rankmill.db.submission.token_estimates import pair_cost, text_tokens
from rankmill.worker.loading.load import load_scorer


def load(setup: Setup) -> Any:
    long_documents = LongDocuments(setup.options.get("long-documents", "truncate"))
    spec = ScorerSpec(
        model=setup.model,
        precision=Precision(setup.precision),
        max_length=setup.max_length,
        long_documents=long_documents,
    )
    budget = setup.options.get("batch-tokens")
    scorer: Any = load_scorer(spec, device=setup.device, batch_tokens=int(budget) if budget else None)

    def answer(order: Order) -> Answer:
        pairs = read_pairs(order["pairs"])
        scorer.tokenizer.forget()
        prepare_s: list[float] = []

        def prepare(request: PairTexts) -> Any:
            started = time.perf_counter()
            prepared = scorer.prepare([request])
            prepare_s.append(time.perf_counter() - started)
            return prepared

        started = time.perf_counter()
        texts = dict.fromkeys(text for pair in pairs for text in reversed(pair))
        ids = {text: number for number, text in enumerate(texts)}
        requests = _requests(pairs, ids, spec, scorer.claim_tokens)
        found: dict[tuple[int, int], Any] = {}
        with ThreadPoolExecutor(1) as ahead:
            upcoming = ahead.submit(prepare, requests[0])
            for following in [*requests[1:], None]:
                prepared = upcoming.result()
                if following is not None:
                    upcoming = ahead.submit(prepare, following)
                (result,) = scorer.score(prepared, lambda: False)
                assert not result.failures, result.failures[0]
                found.update({(score[0], score[1]): score for score in result.scores})
        seconds = time.perf_counter() - started
        scores = [found[ids[query], ids[document]] for query, document in pairs]
        return {
            "seconds": seconds,
            "prepare_s": sum(prepare_s),
            "logits": [float(score.logit) for score in scores],
            "lengths": [int(score.num_tokens) for score in scores],
            "precision": scorer.facts.dtype,
            "budget": scorer.forward.budget.tokens,
        }

    return answer


def _requests(pairs: Pairs, ids: dict[str, int], spec: ScorerSpec, claim_tokens: int) -> list[PairTexts]:
    """The pairs, those of one document together, in claims of as many tokens as a worker takes."""
    cost = pair_cost(spec)
    sizes = {text: text_tokens(len(text.encode())) for text in ids}
    claims: list[list[tuple[str, str]]] = [[]]
    spent = 0
    for query, document in sorted(pairs, key=lambda pair: ids[pair[1]]):
        price = cost(sizes[query], sizes[document])
        if claims[-1] and spent + price > claim_tokens:
            claims.append([])
            spent = 0
        claims[-1].append((query, document))
        spent += price
    return [_request(claim, ids) for claim in claims]


def _request(pairs: Sequence[tuple[str, str]], ids: dict[str, int]) -> PairTexts:
    return PairTexts(
        pairs=[TextPair(ids[query], ids[document]) for query, document in pairs],
        texts={ids[text]: text for pair in pairs for text in pair},
    )


if __name__ == "__main__":
    serve(load)
