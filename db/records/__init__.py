"""Values that cross rooms: plain and frozen. Imports nothing but the standard library.

inputs     queries, candidates and documents as read
scorers    what decides a score, and what computed it
jobs       a job as asked for, and how far it is
shards     shards planned and claimed, and what scoring one gave
results    a result as people see it
rankings   what readers downstream get
workers    worker processes, and what a rescue round did
telemetry  what a worker computed and waited for
sigmoid    the score of a logit
"""
