"""The one place that words events: turns named events with fields into log lines, as text or as JSON.

Code emits `log.info("claimed", extra={"fields": {"num_shards": 3}})` on a logger named "rankmill.<room>".
Knows nothing of what happened; hides passwords in URLs and bound SQL parameters wherever they appear.
"""

import json
import logging
import os
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from typing import Any, TextIO

from rankmill.db.runtime.settings import Settings

WORDS: Mapping[str, str | tuple[str, ...]] = {
    "worker_ready": "worker process {pid} listens on queue {queue}, with store {store}",
    "worker_registered": "worker {worker_id} takes shards of model {model}",
    "worker_farewell": "worker {worker_id} has left; nothing is claimed by it",
    "farewell_failed": "worker {worker_id} could not sign off; its leases will run out: {reason}",
    "stop_asked": "asked to stop ({signal}); what is scored lands, the rest is released",
    "stop_hurried": "asked to stop again ({signal}); the current batch is dropped",
    "parent_gone": "process {pid}, which this worker belongs to, is gone; stopping",
    "child_gone": "process {pid} has already ended",
    "child_lost": "scoring process {pid} ended by itself; {num_lost} in a row ended before scoring anything",
    "losses_unknown": "cannot tell whether a scoring process that ended had scored anything: {reason}",
    "given_up": "giving up: {problem}",
    "prerequisite_missing": "{problem}",
    "model_loading": "loading model {model}",
    "model_loaded": "loaded model {model} on {device} as {dtype} in {seconds:.1f} s",
    "model_problem": "model {model} cannot be used and is tried again after {retry_s:.0f} s: {problem}",
    "scorer_loaded": "scorer of {model}: up to {max_length} tokens a sequence, {batch_tokens:,} a batch",
    "padded_model": "{model_class} runs with padding: its family has no padding-free path",
    "fell_back_to_padded": "{model_class} runs with padding: no padding-free path agreed with it",
    "fast_path_failed": (
        "fast path {path} failed and is not used: {error}",
        "attention kernel {kernel} failed for {model_class} and is not used: {error}",
    ),
    "fast_path_disagrees": (
        "fast path {path} changed logits by up to {difference:.2g} and is not used",
        "attention kernel {kernel} changed logits of {model_class} by up to {difference:.2g} and is not used",
    ),
    "compiler_folder_refused": "{setting} names {folder}, which others may change; a new folder is used",
    "no_spread": "model {model} gives unlike pairs the same logit ({logit:.4f}): do not trust its rankings",
    "layers_compiled": "compiled layers {compiled_ms:.1f} ms, plain ones {plain_ms:.1f} ms; used: {is_used}",
    "rows_tried": "batches of fewer than {least_rows} tokens are filled up to that number",
    "row_trial_failed": "could not try how few tokens a batch needs; the safe number is used: {error}",
    "scores_may_depend_on_company": "scores may depend on the batch: {num_rows} tokens did not rule it out",
    "claimed": "claimed {num_shards} shards of jobs {job_ids}: {num_pairs:,} pairs, {num_tokens:,} tokens",
    "scored": "scored {num_tokens:,} tokens, {tokens_per_s:,.0f} tokens/s: {words}",
    "landed": "landed {num_shards} shards: {num_scores:,} scores, {num_failures:,} failed pairs",
    "lease_lost": "shard {shard_id} is no longer ours (attempt {attempt}); its scores are discarded",
    "group_failed": "scoring {num_shards} shards together failed; each is tried alone: {reason}",
    "shard_failed": "shard {shard_id} of job {job_id} failed and is {state}: {reason}",
    "shard_failure": "shard {shard_id} of job {job_id} failed with this error",
    "not_finite": "{num_sequences} logits were not finite in {dtype}; fp32 is tried if it is more precise",
    "out_of_memory": "out of memory at {num_tokens:,} tokens: the batch is split and the budget lowered",
    "recalled": "{num_shards} shards in hand are given back after this batch: {reason}",
    "look_failed": "could not check for paused, cancelled and more urgent jobs: {reason}",
    "released": "released {num_shards} shards unscored; this counts as no failed attempt",
    "release_failed": "could not release {num_shards} shards; their leases will run out: {reason}",
    "store_retry": "the store did not do {verb}; trying again in {pause_s:.1f} s: {reason}",
    "store_given_up": "the store did not do {verb} in time; the drain ends: {reason}",
    "store_problem": "what is in hand is given back unharmed, and the store is asked again after "
    "{retry_s:.0f} s: {problem}",
    "set_aside": "shard {shard_id} of job {job_id} is given back unharmed and tried later, because the store "
    "refuses it and takes others: {reason}",
    "heartbeat_failed": "the heartbeat did not reach the store: {reason}",
    "hung": "no batch was finished for {hang_s:.0f} s; {num_shards} shards fail and this process ends",
    "drained": "{line}",
    "rescued": "returned {num_returned} shards of silent workers ({num_cut} split in half), {num_dead} dead",
    "rescue_failed": "a rescue round failed; the next one tries again: {reason}",
    "rung": "rang a doorbell on {queue} for {num_ready} ready shards",
    "doorbell_lost": "a doorbell could not be rung; a rescue round will ring: {reason}",
    "published": "job {job_id} is publication {publication_id} of ranking {ranking}: {num_added:,} added, "
    "{num_changed:,} changed, {num_removed:,} removed",
    "told": "sent the {kind} for the end of job {job_id}",
    "not_told": "the {kind} for the end of job {job_id} was not accepted: {reason}",
    "settling_failed": "following up jobs that ended failed; the next round tries again: {reason}",
    "refining_failed": "looking for the best clauses failed; the next round tries again: {reason}",
    "beat_ready": "asks {store} every minute what is due",
    "beat_failed": "could not ask the store which schedules are due; asking again soon: {reason}",
    "night_due": "schedule {schedule} is due: its run of {night}",
    "night_caught_up": "schedule {schedule} missed its run of {night}, which starts now",
    "night_left_out": "schedule {schedule} missed its run of {night}, which is skipped",
    "night_submitted": "{schedule}, {night}: job {job_id} of {num_pairs:,} pairs, {num_reused:,} reused",
    "night_not_submitted": "{schedule}, {night}: no job yet: {reason}",
}
"""The sentence of each event. Several where the event is emitted with other fields in different places."""

_SECRETS = (
    # To the last @: a password may hold one, or a slash.
    (re.compile(r"(://[^:/@\s]*:)[^\s]+@"), r"\1***@"),
    (re.compile(r"([?&][^=&\s]*passw[^=&\s]*=)[^&\s\"']+", re.IGNORECASE), r"\1***"),
    (re.compile(r"\[parameters: .*?\](?=\n|$)", re.DOTALL), "[parameters hidden]"),
)


def without_secrets(text: str) -> str:
    """`text` with the passwords of URLs and the parameters of SQL errors hidden."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def reason_of(error: BaseException, max_chars: int = 300) -> str:
    """The first line of an error, fit for logs and for a shard's `reason`: short and without secrets."""
    lines = without_secrets(str(error)).strip().splitlines()
    words = lines[0] if lines else ""
    if type(error).__module__.partition(".")[0] != "rankmill":
        words = f"{type(error).__name__}: {words}"  # only our own errors are whole sentences
    return words[:max_chars]


def sentence(event: str, fields: Mapping[str, Any]) -> str:
    """The words of an event; its name and fields where no words fit them."""
    words = WORDS.get(event, ())
    for form in (words,) if isinstance(words, str) else words:
        with suppress(KeyError, ValueError, TypeError, IndexError):
            return form.format_map(dict(fields))
    return " ".join([event, *(f"{name}={value}" for name, value in fields.items())])


class _Formatter(logging.Formatter):
    def _parts(self, record: logging.LogRecord) -> tuple[Mapping[str, Any], str, str]:
        """Fields, sentence and traceback of a record, ours or a library's."""
        fields: Mapping[str, Any] = getattr(record, "fields", {})
        is_event = record.name.partition(".")[0] == "rankmill"
        words = sentence(str(record.msg), fields) if is_event else record.getMessage()
        traceback = self.formatException(record.exc_info) if record.exc_info else ""
        return fields, without_secrets(words), without_secrets(traceback)


class TextFormatter(_Formatter):
    """`2026-11-22 20:15:01 INFO worker: claimed 3 shards ...`, then the traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        _, words, traceback = self._parts(record)
        when = datetime.fromtimestamp(record.created).astimezone()
        room = record.name.removeprefix("rankmill.")
        line = f"{when:%Y-%m-%d %H:%M:%S} {record.levelname} {room}: {words}"
        return f"{line}\n{traceback}" if traceback else line


class JsonFormatter(_Formatter):
    """One JSON object a line: time, level, room, pid, event, its fields, and the sentence."""

    def format(self, record: logging.LogRecord) -> str:
        fields, words, traceback = self._parts(record)
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "room": record.name.removeprefix("rankmill."),
            "pid": os.getpid(),
        }
        if record.name.partition(".")[0] == "rankmill":
            line |= {"event": str(record.msg), **fields}
        line["message"] = words
        if traceback:
            line["traceback"] = traceback
        return without_secrets(json.dumps(line, ensure_ascii=False, default=str))


def setup_logging(
    settings: Settings, stream: TextIO | None = None, *, file: str | os.PathLike[str] | None = None
) -> None:
    """Sends every event to `stream` (standard error by default) in the asked format, from the asked level up.

    With `file` they are appended to it instead, and to the new file of that name when it is moved away.
    Libraries speak from WARNING up, or from INFO up when the level is DEBUG. May be called again.
    """
    handler = (
        WatchedFileHandler(file, encoding="utf-8") if file else logging.StreamHandler(stream or sys.stderr)
    )
    handler.setFormatter(JsonFormatter() if settings.log_format == "json" else TextFormatter())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.captureWarnings(True)
    logging.getLogger("rankmill").setLevel(settings.log_level)
    processes = logging.getLogger("multiprocessing")  # billiard keeps it from our root
    processes.handlers, processes.propagate = [handler], False
    for library in ("celery", "kombu", "amqp", "multiprocessing"):
        level = logging.INFO if settings.log_level == "DEBUG" else logging.WARNING
        logging.getLogger(library).setLevel(level)
