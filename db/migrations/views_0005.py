"""The view job_progress as revision 0005 creates it, with paused_at; frozen."""

# How many pairs that the job in `jobs` gave up have a score all the same: another job scored the same texts,
# or a pair of the same texts in this one. Results show it, so they are scored and not failed.
SCORED_ELSEWHERE = """
    SELECT count(*) FROM (
        SELECT failed_pairs.job_id AS job_id, failed_pairs.pair_no AS pair_no
        FROM failed_pairs WHERE failed_pairs.job_id = jobs.id
        UNION ALL
        SELECT ended.job_id, within.pair_no
        FROM shards AS ended
        JOIN pairs AS within ON within.job_id = ended.job_id
            AND within.pair_no >= ended.first_pair AND within.pair_no < ended.end_pair
        WHERE ended.job_id = jobs.id AND ended.state IN ('dead', 'cancelled') AND NOT within.reused
    ) AS given_up
    JOIN pairs ON pairs.job_id = given_up.job_id AND pairs.pair_no = given_up.pair_no
    WHERE (
        SELECT 1 FROM scores
        WHERE scores.scorer_id = jobs.scorer_id
            AND scores.document_text_id = (
                SELECT text_id FROM job_documents
                WHERE job_documents.job_id = pairs.job_id AND job_documents.document_no = pairs.document_no
            )
            AND scores.query_text_id = (
                SELECT text_id FROM job_queries
                WHERE job_queries.job_id = pairs.job_id AND job_queries.query_no = pairs.query_no
            )
    ) IS NOT NULL
"""

JOB_PROGRESS = f"""
CREATE VIEW job_progress AS
SELECT
    job_id, name, state, scorer_id, model, num_pairs, num_reused,
    num_landed + num_scored_elsewhere AS num_scored,
    num_given_up - num_scored_elsewhere AS num_failed,
    num_claimed, num_waiting, num_scored_tokens, num_shards, num_dead_shards,
    created_at, finished_at, top_k, min_score, paused_at
FROM (
    SELECT summed.*,
        CASE WHEN num_given_up = 0 THEN 0 ELSE ({SCORED_ELSEWHERE}) END AS num_scored_elsewhere
    FROM (
        SELECT
            jobs.id AS job_id,
            jobs.name AS name,
            jobs.state AS state,
            jobs.scorer_id AS scorer_id,
            scorers.model AS model,
            jobs.num_pairs AS num_pairs,
            jobs.num_reused AS num_reused,
            coalesce(sum(shards.scored_pairs), 0) AS num_landed,
            coalesce(sum(CASE
                WHEN shards.state = 'done' THEN shards.failed_pairs
                WHEN shards.state IN ('dead', 'cancelled') THEN shards.num_pairs
            END), 0) AS num_given_up,
            coalesce(sum(CASE WHEN shards.state = 'claimed' THEN shards.num_pairs END), 0) AS num_claimed,
            coalesce(sum(CASE WHEN shards.state = 'ready' THEN shards.num_pairs END), 0) AS num_waiting,
            coalesce(sum(shards.scored_tokens), 0) AS num_scored_tokens,
            jobs.num_shards AS num_shards,
            coalesce(sum(CASE WHEN shards.state = 'dead' THEN 1 END), 0) AS num_dead_shards,
            jobs.created_at AS created_at,
            jobs.finished_at AS finished_at,
            jobs.top_k AS top_k,
            jobs.min_score AS min_score,
            jobs.paused_at AS paused_at
        FROM jobs
        JOIN scorers ON scorers.id = jobs.scorer_id
        LEFT JOIN shards ON shards.job_id = jobs.id
        GROUP BY jobs.id, scorers.id
    ) AS summed
    JOIN jobs ON jobs.id = summed.job_id
) AS counted
"""  # noqa: S608
