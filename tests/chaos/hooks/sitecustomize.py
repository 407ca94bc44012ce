"""Python runs this first in every process of a chaos round: the null scorer takes its time and can be
poisoned, changes are delivered in small chunks and haste, and the process may live in a wrong hour.
Configured by CHAOS_* variables; knows nothing else.
"""

import importlib.abc
import importlib.machinery
import os
import sys
import time
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

CLOCK_OFF_S = float(os.environ.get("CHAOS_CLOCK_OFF_S", "0"))
PACE_S = float(os.environ.get("CHAOS_PACE_S", "0"))
CLAIM_TOKENS = int(os.environ.get("CHAOS_CLAIM_TOKENS", "0"))
CHUNK_ROWS = int(os.environ.get("CHAOS_CHUNK_ROWS", "0"))
EXIT_CODE = 66


def _raise() -> None:
    raise RuntimeError("poison in this text")


def _exit() -> None:
    os._exit(EXIT_CODE)


def _hang() -> None:
    while True:
        time.sleep(3600)


def _out_of_memory() -> None:
    bytearray(2**62)


POISONS = {"raise": _raise, "exit": _exit, "hang": _hang, "memory": _out_of_memory}


def swallow(request: Any) -> None:
    """Dies of a pair whose query asks for poison and whose document holds some."""
    for query_id, document_id in request.pairs:
        if "asks for poison" in request.texts[query_id]:
            kind = request.texts[document_id].partition("holds poison ")[2].partition(" ")[0]
            if kind:
                POISONS[kind]()


def slow_and_mortal(module: ModuleType) -> None:
    """Puts a scorer that takes CHAOS_PACE_S a shard in the null scorer's place."""
    plain = module.NullScorer

    class PacedScorer(plain):  # type: ignore[misc, valid-type]
        claim_tokens: int

        def __init__(self) -> None:
            super().__init__()
            self.claim_tokens = CLAIM_TOKENS or self.claim_tokens

        def score(self, prepared: Any, should_stop: Callable[[], bool]) -> Any:
            from rankmill.worker.errors import Stopped

            results: list[Any] = []
            for request in prepared.requests:
                if should_stop():
                    raise Stopped([*results, *[None] * (len(prepared.requests) - len(results))])
                time.sleep(PACE_S)
                swallow(request)
                results += super().score(type(prepared)([request]), lambda: False)
            return results

    module.NullScorer = PacedScorer  # type: ignore[attr-defined]


def hasty(module: ModuleType) -> None:
    """Lets a delivery take CHAOS_CHUNK_ROWS changes at once, and try again soon."""
    module.CHUNK_ROWS = CHUNK_ROWS  # type: ignore[attr-defined]
    module.FIRST_PAUSE_S, module.MAX_PAUSE_S = 0.02, 0.2  # type: ignore[attr-defined]
    module.LOOK_EVERY_S = 0.1  # type: ignore[attr-defined]


def impatient(module: ModuleType) -> None:
    """Lets a receiver that says nothing be given up after a second."""
    module.REQUEST_S = 1.0  # type: ignore[attr-defined]


class ChangingFinder(importlib.abc.MetaPathFinder):
    """Finds these modules as usual and changes each as soon as it is loaded."""

    def __init__(self, changes: Mapping[str, Callable[[ModuleType], None]]) -> None:
        self._changes = changes

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name not in self._changes:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_and_change(module: ModuleType) -> None:
            execute(module)
            self._changes[name](module)

        spec.loader.exec_module = execute_and_change  # type: ignore[method-assign]
        return spec


if PACE_S or CLAIM_TOKENS:
    sys.meta_path.insert(0, ChangingFinder({"rankmill.worker.scorer.null_scorer": slow_and_mortal}))
if CHUNK_ROWS:
    downstream = "rankmill.producer.downstream"
    sys.meta_path.insert(
        0, ChangingFinder({f"{downstream}.deliver": hasty, f"{downstream}.http_receiver": impatient})
    )
if CLOCK_OFF_S:
    _right_time = time.time
    time.time = lambda: _right_time() + CLOCK_OFF_S
