"""Tables, views and conditions on states. Knows no statement; db/migrations builds the same step by step.

base              what all tables share
texts_and_scores  texts, scorers, engines, scores
jobs              jobs, their queries, documents and pairs
shards            shards, and the workers that claim them
collections       collections, query sets, and who reads inputs
rankings          rankings, publications, deliveries, notices
spans             best clauses
schedules         schedules and their runs
views             the views that people query
conditions        conditions on the states of shards and jobs
"""
