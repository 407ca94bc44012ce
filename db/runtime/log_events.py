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
from datetime import UTC, datetime
from typing import Any, TextIO

from rankmill.db.runtime.settings import Settings

_WORDS: Mapping[str, str] = {
    "worker_ready": "worker process {pid} listens on queue {queue}, with store {store}",
    "worker_registered": "worker {worker_id} takes shards of model {model}",
    "worker_farewell": "worker {worker_id} has left; nothing is claimed by it",
    "farewell_failed": "worker {worker_id} could not sign off, its leases will end by themselves: {reason}",
    "stop_asked": "asked to stop ({signal}); what is scored lands, the rest is released",
    "stop_hurried": "asked to stop again ({signal}); the batch at work is dropped",
    "parent_gone": "process {pid}, which this worker belongs to, is gone; stopping",
    "child_lost": "scoring process {pid} ended by itself, {num_lost} in a row before anything was scored",
    "losses_unknown": "whether a scoring process that ended had scored anything is not known: {reason}",
    "given_up": "giving up: {problem}",
    "prerequisite_missing": "{problem}",
    "model_loading": "loading model {model}",
    "model_loaded": "loaded model {model} on {device} as {dtype} in {seconds:.1f} s",
    "model_problem": "nothing is claimed for model {model} before {retry_s:.0f} s have passed: {problem}",
    "claimed": "claimed {num_shards} shards of jobs {job_ids}: {num_pairs:,} pairs, {num_tokens:,} tokens",
    "scored": "scored {num_tokens:,} tokens, {tokens_per_s:,.0f} tokens/s: {words}",
    "landed": "landed {num_shards} shards: {num_scores:,} scores, {num_failures:,} failed pairs",
    "lease_lost": "shard {shard_id} is no longer ours (attempt {attempt}); its scores were not needed",
    "group_failed": "scoring {num_shards} shards together failed, each is tried alone: {reason}",
    "shard_failed": "shard {shard_id} of job {job_id} failed and is {state}: {reason}",
    "recalled": "{num_shards} shards in hand are given back after this batch: {reason}",
    "look_failed": "whether what is in hand is still wanted could not be seen: {reason}",
    "released": "released {num_shards} shards unscored; this burns no attempt",
    "release_failed": "{num_shards} shards could not be released, their leases will end: {reason}",
    "store_retry": "{verb} did not get through to the store, trying again in {pause_s:.1f} s: {reason}",
    "store_given_up": "{verb} did not get through to the store in time, the drain ends: {reason}",
    "heartbeat_failed": "heartbeat did not get through to the store: {reason}",
    "hung": "nothing was scored for {hang_s:.0f} s, {num_shards} shards fail and this process is ended",
    "drained": "{line}",
    "rescued": "returned {num_returned} shards of silent workers ({num_cut} cut in half), {num_dead} dead",
    "published": "job {job_id} is publication {publication_id} of ranking {ranking}: {num_added:,} added, "
    "{num_changed:,} changed, {num_removed:,} removed",
    "told": "told of the end of job {job_id} by {kind}",
    "not_told": "the {kind} of job {job_id} was not taken and is tried again: {reason}",
    "settling_failed": "publishing or telling failed, the next round comes: {reason}",
    "rescue_failed": "a rescue round failed, the next one comes: {reason}",
    "rung": "rang a doorbell on {queue} for {num_ready} ready shards",
    "scorer_loaded": "scorer of {model} reads up to {max_length} tokens, {batch_tokens:,} tokens a batch",
    "padded_model": "{model_class} is run padded: its family has no padding-free path",
    "fell_back_to_padded": "{model_class} is run padded: the padding-free path did not agree with it",
    "not_finite": "{num_sequences} logits were not finite in {dtype} and are computed again in fp32",
    "out_of_memory": "out of memory at {num_tokens:,} tokens: the batch is split and the budget lowered",
    "beat_ready": "asks {store} every minute what is due",
    "night_due": "schedule {schedule} fires for {night}",
    "night_caught_up": "schedule {schedule} was missed and is made up for: the night of {night}",
    "night_left_out": "schedule {schedule} was missed at {night}; its policy is to leave that out",
    "night_submitted": "{schedule}, {night}: job {job_id} of {num_pairs:,} pairs, {num_reused:,} reused",
    "night_not_submitted": "{schedule}, {night}: no job yet: {reason}",
    "beat_failed": "asking the store what is due failed, the next time comes: {reason}",
    "doorbell_lost": "a doorbell could not be rung, a rescue round will ring: {reason}",
}

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
    """The words of an event; its name and fields where it has no words of its own."""
    try:
        return _WORDS[event].format_map(dict(fields))
    except (KeyError, ValueError, TypeError, IndexError):
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


def setup_logging(settings: Settings, stream: TextIO | None = None) -> None:
    """Sends every event to `stream` (standard error by default) in the asked format, from the asked level up.

    Libraries speak from WARNING up, or from INFO up when the level is DEBUG. May be called again.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if settings.log_format == "json" else TextFormatter())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.captureWarnings(True)
    logging.getLogger("rankmill").setLevel(settings.log_level)
    processes = logging.getLogger("multiprocessing")  # billiard keeps it from our root
    processes.handlers, processes.propagate = [handler], False
    for library in ("celery", "kombu", "amqp", "multiprocessing"):
        level = logging.INFO if settings.log_level == "DEBUG" else logging.WARNING
        logging.getLogger(library).setLevel(level)
