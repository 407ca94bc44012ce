"""Inputs become a job. Knows no file and no model.

draft            a job while its inputs are read
draft_tables     the temporary tables it is read into
token_estimates  what a pair will cost
sharding         pairs laid into shards
record           the draft becomes a job, in one transaction
clause_job       a second job that finds the best clauses of a job's documents
"""
