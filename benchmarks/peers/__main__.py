"""This engine and its peers on whatever device is here: tables, printed and kept.

    python -m benchmarks.peers --data DIR
    python -m benchmarks.peers --parts contest --sizes 12x768 --workloads mixed --rounds 2

DIR holds data sets in BEIR layout: xquad-en, scifact, cuad; what is missing is made up with the same lengths.
"""

import argparse
from pathlib import Path

from benchmarks.peers.contest import say
from benchmarks.peers.models import SIZES
from benchmarks.peers.parts import article, contests, memory
from benchmarks.peers.plan import Plan

PARTS = ("contest", "rate", "end-to-end", "article", "memory")


def main() -> None:
    plan, parts = _asked()
    for part in parts:
        for size in plan.article_sizes if part == "article" else plan.sizes:
            say(f"{part}, {size}")
            match part:
                case "contest":
                    contests.compare(plan, size)
                case "rate":
                    contests.measure_rate(plan, size)
                case "end-to-end":
                    from benchmarks.peers.parts import (
                        end_to_end,  # the only part that needs the whole program
                    )

                    end_to_end.measure(plan, size)
                case "article":
                    article.measure(plan, size)
                case "memory":
                    memory.measure(plan, size)


def _asked() -> tuple[Plan, list[str]]:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sizes = f"{', '.join(SIZES)}, demo, or a model's directory"
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--sizes", nargs="+", help=f"{sizes}; by default what the device can bear")
    parser.add_argument(
        "--workloads", nargs="+", choices=("short", "mixed", "long"), default=["short", "mixed", "long"]
    )
    parser.add_argument("--data", type=Path, help="folder of data sets in BEIR layout")
    parser.add_argument("--rounds", type=int, default=3, help="fewer are made of what takes minutes a round")
    parser.add_argument("--pairs", type=int, help="of short and mixed; by default what the device can bear")
    parser.add_argument("--long-tokens", type=int, help="tokens read of a long pair")
    parser.add_argument(
        "--who", nargs="+", default=[], help="only contestants with one of these words in their names"
    )
    parser.add_argument("--device", help="cpu or cuda; by default cuda where there is one")
    parser.add_argument(
        "--peer-python",
        action="append",
        default=[],
        metavar="ENVIRONMENT=PATH",
        help="an interpreter instead of the one that benchmarks/peers.sh made (openvino, onnx, "
        "flagembedding, infinity)",
    )
    asked = parser.parse_args()
    pythons = dict(given.split("=", 1) for given in asked.peer_python)
    plan = Plan.of(
        device=asked.device,
        sizes=asked.sizes,
        workloads=asked.workloads,
        data=asked.data.resolve() if asked.data else None,
        rounds=asked.rounds,
        pairs=asked.pairs,
        long_tokens=asked.long_tokens,
        who=asked.who,
        pythons=pythons,
    )
    return plan, asked.parts


if __name__ == "__main__":
    main()
