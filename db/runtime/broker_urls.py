"""Broker URLs: how one may be shown, and whether two name the same broker. Knows no broker."""

import hashlib
import re
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit, urlunsplit

_DEFAULT_PORTS = {"redis": 6379, "rediss": 6379, "amqp": 5672, "amqps": 5671}
_RABBITMQ = {"amqp", "amqps"}
BROKER_SCHEMES = ("redis", "rediss", "redis+socket", *sorted(_RABBITMQ))
_SECRET_OPTION = re.compile(r"([?&][^=&]*passw[^=&]*=)[^&]*", re.IGNORECASE)
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*(?=://)")
HOW_TO_WRITE_PASSWORDS = (
    "its URL cannot be read; in a password write / as %2F, ? as %3F, # as %23, [ as %5B and @ as %40"
)


def safe_broker_url(url: str) -> str:
    """`url` with its passwords hidden; only its scheme where it is not clear where a password ends."""
    return ";".join(map(_safe, url.split(";"))) if is_readable(url) else _only_scheme(url)


def is_rabbitmq(url: str | None) -> bool:
    """Whether the broker is RabbitMQ, which needs other options than Redis."""
    return scheme_of(url or "") in _RABBITMQ


def scheme_of(url: str) -> str:
    """The scheme of `url` in lower case; empty if it has none."""
    scheme = _SCHEME.match(url)
    return scheme[0].lower() if scheme else ""


def is_readable(url: str) -> bool:
    """Whether it is clear where the password in `url` ends: a `/` in it looks like the end of the host."""
    return None not in map(_parts, url.split(";"))


def without_passwords_of(url: str, words: str) -> str:
    """`words` about the broker at `url`, with its passwords hidden."""
    if not is_readable(url):
        return HOW_TO_WRITE_PASSWORDS
    for parts in filter(None, map(_parts, url.split(";"))):
        if parts.password:
            for secret in (parts.password, unquote(parts.password)):
                words = words.replace(secret, "***")
    return words


def broker_digest(url: str) -> str:
    """SHA-256 in hex of the broker's place: the same for every user, and with or without its defaults."""
    places = "\n".join(map(_place, url.split(";")))
    return hashlib.sha256(places.encode()).hexdigest()


def _parts(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    is_clear = "@" not in parts.path + parts.query + parts.fragment and (parts.netloc or "@" not in url)
    return parts if is_clear else None


def _safe(url: str) -> str:
    parts = _parts(url)
    assert parts is not None
    if parts.password is not None:
        place = parts.netloc.rpartition("@")[2]
        url = urlunsplit(parts._replace(netloc=f"{parts.username or ''}:***@{place}"))
    return _SECRET_OPTION.sub(r"\1***", url)


def _only_scheme(url: str) -> str:
    scheme = scheme_of(url)
    return f"{scheme}://***" if scheme else "***"


def _place(url: str) -> str:
    parts = _parts(url)
    if parts is None:
        return url.rpartition("@")[2]
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    path = parts.path.rstrip("/")
    if parts.scheme in {"redis", "rediss"}:
        path = path or "/0"
    databases = parse_qs(parts.query).get("virtual_host", [])
    return " ".join([parts.scheme, parts.hostname or "", str(port), path, *databases])
