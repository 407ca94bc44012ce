"""Which receiver `--to` names. Another kind of receiver is a class in a file of its own and a line here."""

from pathlib import Path

from rankmill.db.runtime.http_client import WrongUrl, place_of
from rankmill.db.runtime.settings import Settings
from rankmill.producer.downstream.change_formats import Target
from rankmill.producer.downstream.folder_receiver import FolderReceiver
from rankmill.producer.downstream.opensearch_receiver import OpenSearchReceiver
from rankmill.producer.downstream.receiver import Receiver
from rankmill.producer.downstream.url_receiver import UrlReceiver
from rankmill.producer.downstream.vespa_receiver import VespaReceiver
from rankmill.producer.errors import UsageError


def receiver_from(to: str, settings: Settings, ranking: str, target: Target) -> Receiver:
    """The receiver of a ranking's changes; the index has the ranking's name unless `target` names one.

    Raises UsageError.
    """
    is_url = to.startswith(("http://", "https://"))
    if not is_url and to not in ("opensearch", "elasticsearch", "vespa"):
        if "://" in to:
            raise UsageError("--to takes opensearch, vespa, an http or https URL, or a folder.")
        return FolderReceiver(Path(to))
    url = to if is_url else settings.receiver
    if url is None:
        raise UsageError(
            f"Say where {to} is: --at URL (RANKMILL_RECEIVER), for example http://localhost:9200"
        )
    try:
        place = place_of(url)
    except WrongUrl as error:
        raise UsageError(f"The receiver's URL cannot be used: {error}.") from error
    if is_url:
        return UrlReceiver(place, settings.receiver_auth, ranking)
    if to == "vespa":
        return VespaReceiver(place, settings.receiver_auth, target)
    return OpenSearchReceiver(place, settings.receiver_auth, _index_name(target.index or ranking))


def _index_name(name: str) -> str:
    """The name, if OpenSearch can have an index of it. Raises UsageError."""
    is_possible = (
        name == name.lower() and not name.startswith(("_", "-", "+", ".")) and len(name.encode()) < 256
    )
    if not is_possible or set(name) & set('\\/*?"<>| ,#:'):
        raise UsageError(
            f"An index cannot be named {name!r}. Name another in lower-case letters with --index."
        )
    return name
