"""What is stored and every way it may change. Knows neither Celery nor tensors.

The rooms, ground floor first; each imports only from those above it in this list:

records     values that cross rooms
runtime     settings, log events, failpoints: what every process runs with
schema      tables, views, conditions
migrations  how a store of an older version becomes one of this
store       the open store: drivers, transactions, rows in bulk
corpus      texts, collections, query sets
scorers     what decides a score, and its files
queue       a shard from ready to done
jobs        a job: found, watched, steered
results     scores read out
submission  inputs become a job
rankings    what readers downstream get
schedules   what is made at set times
maintenance pruning and disk space
"""
