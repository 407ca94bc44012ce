"""What both sides share: the stored data and every way it may change, settings, logs, and what both must do
alike (webhooks, HTTP, sentence boundaries). Knows neither Celery nor tensors.

The rooms, from the ground up; each imports only rooms above it in this list:

records      values that cross rooms
errors       what can go wrong
runtime      settings, log events, failpoints: what every process runs with
schema       tables, views, conditions
migrations   how an older store becomes one of this version
store        the open store: connections, transactions, rows in bulk
corpus       texts, collections, query sets
scorers      what decides a score, and its files
queue        a shard from ready to done
jobs         a job found, watched and steered
results      scores read out
submission   inputs become a job
rankings     what readers downstream get
schedules    what is made at set times
maintenance  pruning and disk space
"""
