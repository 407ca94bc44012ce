"""Claims shards, loads their texts, has them scored and lands the results, until nothing is ready.

drain          which scorer is next, and when to end
loaded_scorer  the one scorer that is kept loaded
pipeline       three stages that overlap
queue          what is ready, and claims
fetch          the first stage: claim, load, prepare
groups         the second: score what was claimed together
landing        the third: scores land, claims end
leases         the process as the store knows it, and how long its claims hold
store_trouble  what the store refuses, and how long it is left alone
preemption     a pause, a cancel or a more urgent job meanwhile
timing         where the seconds went
report         what a drain did

The only room that joins results to claims. Knows no SQL, no Celery and no tensors.
"""
