"""The views that revision 0002 adds, frozen: they do not change with db/schema/views.py."""

LATEST_RESULTS = """
CREATE VIEW latest_results AS
SELECT
    rankings.name AS ranking,
    ranking_queries.query_id AS query_id,
    published_results.document_id AS document_id,
    published_results.rank AS rank,
    CASE
        WHEN published_results.logit > 700 THEN 1.0
        WHEN published_results.logit < -700 THEN 0.0
        ELSE 1.0 / (1.0 + exp(-CAST(published_results.logit AS double precision)))
    END AS score,
    published_results.logit AS logit,
    published_results.span_start AS span_start,
    published_results.span_end AS span_end,
    published_results.error AS error,
    publications.id AS publication_id,
    publications.job_id AS job_id,
    publications.published_at AS published_at
FROM rankings
JOIN publications ON publications.id = rankings.publication_id
JOIN ranking_queries ON ranking_queries.ranking_id = rankings.id
JOIN published_results ON published_results.ranking_query_id = ranking_queries.id
WHERE published_results.change <> 'removed'
"""

CHANGES = """
CREATE VIEW changes AS
SELECT
    rankings.name AS ranking,
    published_results.cursor AS cursor,
    published_results.change AS change,
    ranking_queries.query_id AS query_id,
    published_results.document_id AS document_id,
    published_results.told_rank AS rank,
    CASE
        WHEN published_results.told_logit > 700 THEN 1.0
        WHEN published_results.told_logit < -700 THEN 0.0
        ELSE 1.0 / (1.0 + exp(-CAST(published_results.told_logit AS double precision)))
    END AS score,
    published_results.told_logit AS logit,
    published_results.span_start AS span_start,
    published_results.span_end AS span_end,
    published_results.error AS error,
    published_results.publication_id AS publication_id,
    published_results.changed_at AS changed_at
FROM rankings
JOIN published_results ON published_results.ranking_id = rankings.id
JOIN ranking_queries ON ranking_queries.id = published_results.ranking_query_id
"""
