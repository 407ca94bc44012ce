"""kill -9 at random, then the same command: the lines must equal a calm run's, none double, none missing.

Rounds kill the worker's child, the worker, and the whole process tree of `rankmill run`.
Run: python -m benchmarks.jobs.kills --cuad DIR
"""

import argparse
import gzip
import json
import os
import random
import signal
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks import processes
from benchmarks.report import publish


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuad", type=Path, required=True, help="the data set in BEIR layout")
    parser.add_argument("--model", default="demo")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--tree-kills", type=int, default=3)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    print(f"seed {arguments.seed}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus = write_subset(arguments.cuad, folder)
        command = [
            *processes.RANKMILL,
            "run",
            "--corpus",
            str(corpus),
            "--all-pairs",
            "--model",
            arguments.model,
        ]
        command += ["--queries", str(arguments.cuad / "queries.jsonl")]
        calm = [*command, "--store", f"sqlite:///{folder}/calm.db", "--output", str(folder / "calm.jsonl")]
        calm_s, _, _ = processes.run(calm)
        killed = [
            *command,
            "--store",
            f"sqlite:///{folder}/killed.db",
            "--output",
            str(folder / "killed.jsonl"),
        ]
        started = time.monotonic()
        events = kill_and_finish(killed, calm_s, arguments.tree_kills, chance)
        killed_s = time.monotonic() - started
        calm_lines = (folder / "calm.jsonl").read_text().splitlines()
        killed_lines = (folder / "killed.jsonl").read_text().splitlines()
    keys = [(json.loads(line)["query_id"], json.loads(line)["document_id"]) for line in killed_lines]
    rows: list[tuple[object, ...]] = [
        ("pairs", len(calm_lines)),
        ("calm run, s", calm_s),
        ("killed run, all its restarts, s", killed_s),
        ("kills", "; ".join(events)),
        ("lines equal to the calm run's, byte for byte", str(calm_lines == killed_lines)),
        ("pairs twice", len(keys) - len(set(keys))),
        ("processes left behind", len(leftovers(name))),
    ]
    publish("kills", "CUAD, 40 contracts x 41 questions, kill -9 at random", ("what", "figure"), rows)
    if calm_lines != killed_lines:
        raise SystemExit("the lines differ")


def kill_and_finish(
    command: list[str], calm_s: float, num_tree_kills: int, chance: random.Random
) -> list[str]:
    """One kill of the child, one of the worker, then of the whole tree, until a run ends by itself."""
    events = []
    targets = ["worker child", "worker"] + ["tree"] * num_tree_kills
    running = processes.start(command)
    for target in targets:
        time.sleep(4 + chance.random() * calm_s / len(targets) * 0.6)
        if running.process.poll() is not None:
            events.append(f"{target}: too late, the run had ended")
            continue
        victims = members(running.process.pid, target)
        for victim in victims:
            os.kill(victim, signal.SIGKILL)
        events.append(f"{target} ({len(victims)})")
        if target == "tree":
            running.process.wait()
            running = processes.start(command)
    if running.process.wait() != 0:
        raise SystemExit(f"the last run ended with exit code {running.process.returncode}")
    return events


def members(root_pid: int, target: str) -> list[int]:
    root = psutil.Process(root_pid)
    children = root.children(recursive=True)
    if target == "tree":
        return [root_pid, *(child.pid for child in children)]
    workers = [child for child in children if "worker" in " ".join(child.cmdline())]
    parents = [process for process in workers if process.ppid() == root_pid]
    if target == "worker":
        return [process.pid for process in parents]
    return [
        child.pid
        for process in parents
        for child in process.children()
        if "spawn_main" in " ".join(child.cmdline())
    ]


def leftovers(folder: str) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["environ"])
        if folder in str(process.info["environ"] or "")
    ]


def write_subset(cuad: Path, folder: Path) -> Path:
    wanted = set((cuad / "subset40.txt").read_text().split())
    target = folder / "subset40.jsonl"
    with gzip.open(cuad / "corpus.jsonl.gz", "rt", encoding="utf-8") as lines, target.open("w") as subset:
        subset.writelines(line for line in lines if json.loads(line)["_id"] in wanted)
    return target


if __name__ == "__main__":
    main()
