"""Reranking from Python: a few documents, two questions, scored here and now with nothing to start.

    python examples/rerank_from_python.py [MODEL]

MODEL is a Hugging Face id, a directory, `demo` (the default: small, in the package, for trying things out)
or `null` (no model at all). The scores are kept in RANKMILL_STORE, by default a file in your data folder.
"""

import sys

from rankmill import results, run

DOCUMENTS = {
    "lease": "Lease. The rent is 2,400 euros a month. Notice of termination must be given six months ahead.",
    "supply": "Supply agreement. This agreement is governed by the laws of the State of New York.",
    "recipe": "Soak the beans overnight, then simmer them with an onion for an hour and a half.",
}
QUESTIONS = {
    "law": "Which law governs the agreement?",
    "notice": "How long is the notice of termination?",
}


def main() -> None:
    model = sys.argv[1] if len(sys.argv) > 1 else "demo"

    # Every question with every document; `candidates` would name some pairs, and all three may be files.
    ranking = run(DOCUMENTS, QUESTIONS, model=model)
    for row in ranking:
        print(f"{row.query_id:8}{row.rank}  {row.score:.3f}  {row.document_id}")

    # The scores stay in the store: ask again at any time, here for the best document of each question.
    best = {row.query_id: row.document_id for row in results(ranking.job_id, top_k=1)}
    print(f"best: {best}")


if __name__ == "__main__":
    main()
