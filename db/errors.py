"""What can go wrong in the store, as names and sentences. Each message tells a person what to do.

They stand apart from the code that raises them, so that both sides can catch them without importing SQL.
"""


class StoreError(Exception):
    """Something is wrong with the store."""


class WrongStoreUrl(StoreError):
    """The URL cannot be that of a store."""


class StoreUnavailable(StoreError):
    """The store cannot be reached."""

    def __init__(self, safe_url: str, reason: str) -> None:
        super().__init__(
            f"The store {safe_url} cannot be reached: {reason}. "
            "Check that the database runs and that --store (RANKMILL_STORE) is right."
        )


class StoreBusy(StoreError):
    """The store is locked, or refused the transaction for now. Trying again later may succeed."""


class StoreRefused(StoreError):
    """The store refused a statement, for a `reason` that may lie in one row or in the store itself."""

    def __init__(self, safe_url: str, reason: str) -> None:
        self.reason = reason
        super().__init__(f"The store {safe_url} refused a statement: {reason}")


class StoreNotMigrated(StoreError):
    """The store has no Rankmill tables, or an older schema."""

    def __init__(self, safe_url: str, found: str | None, wanted: str) -> None:
        state = f"is at schema {found}" if found else "has no Rankmill tables"
        super().__init__(
            f"The store {safe_url} {state}; this program needs schema {wanted}. Run: rankmill migrate"
        )


class StoreNewer(StoreError):
    """The store was written by a newer program."""

    def __init__(self, safe_url: str, found: str) -> None:
        super().__init__(
            f"The store {safe_url} is at schema {found}, which this program does not know: "
            "a newer Rankmill wrote it. Upgrade this installation: pip install --upgrade rankmill"
        )


class WrongEncoding(StoreError):
    """The database cannot hold any text."""

    def __init__(self, safe_url: str, encoding: str) -> None:
        super().__init__(
            f"The store {safe_url} has the encoding {encoding} and cannot hold every text. "
            "Create a database with ENCODING 'UTF8' and use that."
        )


class MissingDriver(StoreError):
    """The Python package for this database is not installed."""


class DuplicateId(StoreError):
    """An id occurs twice in one input. `kind` is "query" or "document"."""

    def __init__(self, kind: str, id_: str, first_line: int, line: int, is_same_text: bool) -> None:
        self.kind, self.id_, self.line, self.first_line = kind, id_, line, first_line
        self.is_same_text = is_same_text
        what = "the same text" if is_same_text else "a different text"
        super().__init__(f"{kind} id {id_!r} was already on line {first_line}, with {what}")


class UnknownId(StoreError):
    """A candidate names a query or document that the inputs do not have. `kind` says which."""

    def __init__(self, kind: str, id_: str, line: int) -> None:
        self.kind, self.id_, self.line = kind, id_, line
        super().__init__(f"candidate names {kind} {id_!r}, which the {kind} file does not have")


class EmptyDraft(StoreError):
    """There is nothing to score. `kind` says what is missing: queries, documents or candidates."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        super().__init__(f"there are no {kind}, so there is nothing to score")


class NameTaken(StoreError):
    """Another job has this name and is not done yet."""

    def __init__(self, name: str, job_id: int) -> None:
        super().__init__(
            f"Job {job_id} is already named {name!r}. It has other inputs or another scorer, and is not done "
            "yet. Choose another --name, or leave it out."
        )


class UnknownJob(StoreError):
    """There is no such job."""

    def __init__(self, job: str) -> None:
        super().__init__(f"There is no job {job!r} in this store. rankmill status lists the jobs.")


class UnknownName(StoreError):
    """There is no collection, query set or schedule of this name. `kind` says which."""

    def __init__(self, kind: str, name: str) -> None:
        command = kind.replace(" ", "")
        super().__init__(f"There is no {kind} {name!r} in this store. rankmill {command} list shows all.")


class ScheduleExists(StoreError):
    """Another schedule has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"There is already a schedule {name!r}. Choose another name, or remove that one first: "
            f"rankmill schedule remove {name}"
        )


class StillNeeded(StoreError):
    """Something cannot be removed because something else needs it."""


class DraftExpired(StoreError):
    """Reading inputs paused for so long that the texts it stored may have been pruned."""

    def __init__(self) -> None:
        super().__init__(
            "Reading the inputs paused for so long that the store was pruned meanwhile. Run it again."
        )


class JobCancelled(StoreError):
    """A job that was cancelled cannot be retried."""

    def __init__(self, job_id: int) -> None:
        super().__init__(f"Job {job_id} was cancelled and cannot be retried. Submit the same inputs again.")


class WeightsChanged(StoreError):
    """A worker found other weights for a scorer than those its stored scores came from."""

    def __init__(self, model: str, recorded: str, found: str) -> None:
        super().__init__(
            f"The files of model {model!r} have digest {found[:12]}, but the stored scores came from "
            f"{recorded[:12]}. Name a revision (--revision), or restore the files."
        )


class StoreFull(StoreError):
    """The database has no space left."""

    def __init__(self, safe_url: str, reason: str) -> None:
        super().__init__(
            f"The store {safe_url} is full: {reason}. Nothing of this step was written. "
            "Free space on the database's disk and try again."
        )


class StoreReadOnly(StoreError):
    """The database may be read but not written."""

    def __init__(self, safe_url: str, reason: str) -> None:
        super().__init__(
            f"The store {safe_url} cannot be written: {reason}. "
            "Check the permissions of the file and its folder, or the database user's grants, and that the "
            "database is not a read-only replica."
        )


class UnstorableText(StoreError):
    """A text or id has a character that the databases cannot store: NUL or a lone surrogate."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"{what} cannot be stored: {reason}. Remove the character from the input.")


class WrongResult(ValueError):
    """What scoring a shard gave cannot be its result: a bug of a scorer, and no fault of the store."""


class UnknownRanking(StoreError):
    """There is no ranking of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"There is no ranking {name!r} in this store. rankmill rankings lists them; "
            "rankmill submit --publish NAME makes one."
        )


class NothingToRollBackTo(StoreError):
    """The ranking does not have this publication any more, or none that is older."""

    def __init__(self, ranking: str, publication_id: int | None) -> None:
        wanted = "older publication" if publication_id is None else f"publication {publication_id}"
        super().__init__(
            f"The ranking {ranking!r} has no {wanted}. rankmill rankings {ranking} lists the ones it keeps."
        )


class ReceiverTaken(StoreError):
    """The receiver gets another ranking."""

    def __init__(self, receiver: str, ranking: str) -> None:
        super().__init__(
            f"{receiver} already receives the ranking {ranking!r}, and two in one place would overwrite each "
            "other. Name another index, address or folder."
        )


class UnknownPair(StoreError):
    """The job has no such pair."""

    def __init__(self, job_id: int, query_id: str, document_id: str) -> None:
        super().__init__(
            f"Job {job_id} has no pair of query {query_id!r} and document {document_id!r}. "
            f"Its pairs are those of: rankmill results {job_id}"
        )
