"""A job: found, watched and steered, and what was asked for its end. Scores nothing and publishes nothing.

find              a job by its id, name or key
progress          how far jobs are
pause             a job paused and resumed
cancel            a job cancelled
retry             what a job gave up is scored again
amend             name, priority and limits of a recorded job
reuse_report      why a job reuses no score
publish_requests  who wants the job published, or wants to be notified, when it ends
span_requests     who wants the best clauses of its documents
"""
