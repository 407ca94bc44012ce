"""A shard from ready to done. Knows no inputs, no ranking and no scorer.

fair_share       which job is served next
claims           claim, renew, release and fail a shard
claimed_work     what a claimed shard must score
landing          scores are stored and the shard is done
refusals         which pairs of a shard the store refuses
failed_attempts  what becomes of a shard that lost an attempt
splitting        a shard split into pieces
rescue           shards of silent workers come back
completion       when a job is done
workers          who runs, on what, and what keeps one from working
"""
