"""Settings: one frozen value for each process, from RANKMILL_* variables and a .env file.

Knows names, defaults and bounds, not what they are used for.
"""

import os
from pathlib import Path

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from rankmill.db.records.scorers import LongDocuments, Precision, WindowEnds
from rankmill.db.runtime.broker_urls import BROKER_SCHEMES, scheme_of

DEFAULT_MODEL = "BAAI/bge-reranker-v2-m3"


def default_store() -> str:
    """The URL of the SQLite file in the user's data folder, which is the store if none is named."""
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return f"sqlite:///{Path(base) / 'rankmill' / 'rankmill.db'}"


class Settings(BaseSettings):
    """Every setting, with its default. `model_config` reads RANKMILL_<NAME> and `.env`."""

    model_config = SettingsConfigDict(
        env_prefix="RANKMILL_",
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,  # an input may be a URL with a password, and the error may be printed
        protected_namespaces=(),
    )

    store: str = Field(
        default_factory=default_store,
        repr=False,
        description="Database URL: sqlite:///FILE or postgresql://USER@HOST/NAME",
    )
    broker: str | None = Field(
        None,
        repr=False,
        description="Broker URL: redis://HOST:PORT/0 or amqp://USER@HOST//; `rankmill run` needs none",
    )
    model: str = Field(DEFAULT_MODEL, description="Hub id, directory, `demo` or `null`")
    revision: str | None = Field(None, description="Revision of a hub model: a branch, tag or commit")
    precision: Precision = Field(
        Precision.AUTO, description="auto, fp16 (CUDA only), bf16, fp32 or int8 (CPU only)"
    )
    max_length: int | None = Field(
        None, ge=16, description="Tokens of one sequence; the model's own limit by default"
    )
    long_documents: LongDocuments = Field(
        LongDocuments.WINDOWS, description="windows, truncate or error, for documents past the limit"
    )
    window: int | None = Field(
        None, ge=8, description="Document tokens of one window; by default all that fits beside the query"
    )
    stride: int | None = Field(
        None,
        ge=1,
        description="Document tokens between window starts; by default three quarters of the window",
    )
    batch_tokens: int | None = Field(
        None, ge=64, description="Tokens of one forward pass; by default chosen for the device"
    )
    shard_tokens: int = Field(
        65_536, ge=1, description="Estimated tokens of one shard, the unit of claim and retry"
    )
    job: int | None = Field(None, description="A worker with this set claims shards of this job only")
    lease_s: float = Field(60, gt=0, description="Seconds a claim is believed without a heartbeat")
    heartbeat_s: float = Field(
        15,
        gt=0,
        validate_default=True,
        description="Seconds between heartbeats, at most half of `RANKMILL_LEASE_S`",
    )
    rescue_s: float = Field(15, gt=0, description="Seconds between rescue rounds")
    drain_s: float = Field(
        300, gt=0, description="Seconds one drain task may go on claiming before it rings again"
    )
    hang_s: float = Field(
        900, gt=0, description="Seconds without a finished batch after which a scoring process is ended"
    )
    max_attempts: int = Field(
        3,
        ge=2,
        description="Lost attempts of a pair before it is dead; a larger shard is split in half instead",
    )
    keep_days: float = Field(
        30, ge=0, description="Days that `rankmill prune` keeps jobs that ended, and scores none needs"
    )
    max_line_bytes: int = Field(16 * 2**20, ge=1024, description="Longest input line accepted, in bytes")
    max_pairs: int = Field(100_000_000, ge=1, description="Most pairs of one job")
    webhook_secret: str | None = Field(
        None, min_length=16, repr=False, description="Signs webhooks; without it none is sent"
    )
    webhook_private: bool = Field(
        False, description="Whether webhooks may go to loopback, link-local and private addresses"
    )
    receiver: str | None = Field(
        None, description="URL of the OpenSearch, Elasticsearch or Vespa that `rankmill deliver` sends to"
    )
    receiver_auth: str | None = Field(
        None,
        repr=False,
        description="USER:PASSWORD for the receiver, or the whole value of its Authorization header",
    )
    flower_auth: str | None = Field(
        None, repr=False, description="USER:PASSWORD for `rankmill monitor`; required there"
    )
    flower_address: str = Field(
        "127.0.0.1", description="Address `rankmill monitor` listens on; beyond loopback only behind a proxy"
    )
    flower_port: int = Field(5555, ge=1, le=65535, description="Port `rankmill monitor` listens on")
    log_format: str = Field("text", pattern="^(text|json)$", description="Log lines as text or json")
    log_level: str = Field(
        "INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least severe event that is logged"
    )

    @property
    def window_ends(self) -> WindowEnds | None:
        """Where the windows of new jobs end; None if they have no windows."""
        return WindowEnds.BOUNDARIES if self.long_documents is LongDocuments.WINDOWS else None

    @field_validator("broker")
    @classmethod
    def _is_a_broker_we_speak_to(cls, broker: str | None) -> str | None:
        """Refuses Celery's other transports: they may lose messages when a process dies."""
        if broker and scheme_of(broker) not in BROKER_SCHEMES:
            raise PydanticCustomError(
                "broker_unsupported",
                "a broker URL begins with {schemes}, for example redis://localhost:6379/0",
                {"schemes": ", ".join(f"{scheme}://" for scheme in BROKER_SCHEMES)},
            )
        return broker

    @field_validator("heartbeat_s")
    @classmethod
    def _leaves_a_beat_to_spare(cls, heartbeat_s: float, others: ValidationInfo) -> float:
        """Makes a lease outlive one lost heartbeat: otherwise workers would lose shards all the time."""
        lease_s = others.data.get("lease_s")
        if lease_s is not None and heartbeat_s * 2 > lease_s:
            raise PydanticCustomError(
                "heartbeat_too_rare",
                "{heartbeat_s} seconds between heartbeats let leases of {lease_s} seconds run out; "
                "set RANKMILL_HEARTBEAT_S to {most_s} or less, or RANKMILL_LEASE_S to {least_s} or more",
                {
                    "heartbeat_s": f"{heartbeat_s:g}",
                    "lease_s": f"{lease_s:g}",
                    "most_s": f"{lease_s / 2:g}",
                    "least_s": f"{heartbeat_s * 2:g}",
                },
            )
        return heartbeat_s
