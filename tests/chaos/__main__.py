"""python -m tests.chaos: many rounds on one store or both, one line a round, the figures at the end."""

import argparse
import random
import signal
import sys

from benchmarks.report import publish
from tests.chaos.environment import LEASE_S, SETTINGS
from tests.chaos.run import environment_on, figures, play_rounds


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--on", choices=("sqlite", "postgresql"), action="append", help="both by default")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="number of the first round")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--keep", action="store_true", help="keep the figures in benchmarks/results")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))  # whoever was started is ended then, too
    for dialect in asked.on or ("sqlite", "postgresql"):
        print(f"chaos on {dialect}, seed {asked.seed}", flush=True)
        numbers = range(asked.first, asked.first + asked.rounds)
        try:
            with environment_on(dialect) as environment:
                outcomes = play_rounds(environment, asked.seed, numbers, lambda line: print(line, flush=True))
        except AssertionError as failure:
            print(failure, file=sys.stderr)
            rounds = f"--first {asked.first} --rounds {asked.rounds}"
            again = f"python -m tests.chaos --on {dialect} --seed {asked.seed} {rounds}"
            print(f"again: {again}", file=sys.stderr)
            return 1
        rows = [("seed", asked.seed), *figures(outcomes)]
        for name, figure in rows:
            print(f"{name}: {figure}")
        if asked.keep:
            notes = (
                f"Two workers, leases of {LEASE_S:g} s, rescue rounds every {SETTINGS['rescue_s']} s; "
                "what died was started again at once."
            )
            publish(f"chaos_{dialect}", f"Chaos on {dialect}", ("what", "figure"), rows, notes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
