"""The one join of a job's pairs to their scores, as SQL text: what every reading of results stands on.

A score belongs to a scorer and two texts, whichever job computed it, so a pair finds its score by its texts.
What a claim has to score is found in another way; db/queue/claimed_work.py says why.
"""

OF_PAIRS = """
    JOIN jobs ON jobs.id = pairs.job_id
    JOIN job_queries ON job_queries.job_id = pairs.job_id AND job_queries.query_no = pairs.query_no
    JOIN job_documents
        ON job_documents.job_id = pairs.job_id AND job_documents.document_no = pairs.document_no
"""
"""After `pairs`: the job, query and document of each."""

IS_SCORE_OF_PAIR = """
    scores.scorer_id = jobs.scorer_id
    AND scores.document_text_id = job_documents.text_id
    AND scores.query_text_id = job_queries.text_id
"""
"""Beside those: the row of `scores` is the pair's score."""

SCORED_PAIRS = f"pairs {OF_PAIRS} JOIN scores ON {IS_SCORE_OF_PAIR}"
"""After FROM: the pairs that have a score, with their job, query, document and score."""

RANK = """
    row_number() OVER (PARTITION BY pairs.query_no ORDER BY scores.logit DESC, job_documents.document_id)
"""
"""Beside the scored pairs of one job: the pair's rank in its query, from 1; ties rank by document id."""
