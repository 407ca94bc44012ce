"""The chaos suite: real processes, killed, frozen, starved and lied to, and the same scores in the end.

`python -m tests.chaos --rounds 200 --on sqlite --seed 7` plays rounds and checks the store after each.
"""
