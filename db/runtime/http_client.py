"""One connection to one HTTP server: sends bodies, reads short answers, with a deadline for each request.

Follows no redirects and uses no proxies. Whoever makes a client decides which addresses it may connect to.
"""

import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

CONNECT_S = 10.0
MAX_ANSWER_BYTES = 16 * 2**20
"""The rest of a longer answer is not read."""

Address = IPv4Address | IPv6Address


class HttpTrouble(Exception):
    """There was no complete answer. The message says why, in a few words, without the URL's secrets."""


class ForbiddenAddress(HttpTrouble):
    """All addresses of the host are forbidden."""


class WrongUrl(ValueError):
    """The URL cannot be used. The message says why and does not repeat the URL."""


class Answer(NamedTuple):
    status: int
    retry_after_s: float | None
    body: bytes


class Place(NamedTuple):
    """The parts of a URL; `path` includes the query."""

    is_tls: bool
    host: str
    port: int
    path: str

    def shown(self) -> str:
        """The URL as people and logs may see it: without the query, which may hold a key."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == (443 if self.is_tls else 80) else f":{self.port}"
        return f"http{'s' if self.is_tls else ''}://{host}{port}{self.path.partition('?')[0]}"


def place_of(url: str) -> Place:
    """The parts of an http or https URL. Raises WrongUrl."""
    if any(ord(character) <= 32 or ord(character) == 127 for character in url):
        raise WrongUrl("it has white space or a control character in it")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode() if ":" not in (parts.hostname or "") else None
    except ValueError as error:
        raise WrongUrl("it cannot be read") from error
    host = parts.hostname if host is None else host
    if parts.scheme not in ("http", "https") or not host:
        raise WrongUrl("it must begin with http:// or https:// and name a host")
    if "@" in parts.netloc:
        raise WrongUrl("it must hold no user and password: those come from the environment")
    if not parts.path.isascii() or not parts.query.isascii():
        raise WrongUrl("characters beyond ASCII in it must be written as %XX")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    is_tls = parts.scheme == "https"
    return Place(is_tls, host, port or (443 if is_tls else 80), path)


class Client:
    """A connection that is opened when it is needed, and kept as long as the server keeps it.

    `may_connect` is asked about each address of the host, and only allowed ones are connected to. The address
    that was checked is the one that is used: the name is not looked up again.
    """

    def __init__(
        self, place: Place, *, total_s: float, may_connect: Callable[[Address], bool] = lambda _: True
    ) -> None:
        self._place, self._total_s, self._may_connect = place, total_s, may_connect
        self._connection: http.client.HTTPConnection | None = None

    def request(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Sends one request and reads its answer. Raises HttpTrouble; then the next request connects anew.

        If the server has closed a kept connection, the request is sent once more on a new one.
        """
        is_kept = self._connection is not None
        try:
            return self._try(method, path, body, headers)
        except HttpTrouble as trouble:
            if not is_kept or not isinstance(trouble.__cause__, ConnectionError):
                raise
            return self._try(method, path, body, headers)

    def _try(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        is_late = threading.Event()
        watchdog = threading.Timer(self._total_s, self._cut_off, [is_late])
        watchdog.daemon = True
        watchdog.start()
        try:
            connection = self._opened()
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            read = response.read(MAX_ANSWER_BYTES)
            if response.will_close or not response.isclosed():
                self.close()
            return Answer(response.status, retry_after(response.headers.get("Retry-After")), read)
        except (OSError, http.client.HTTPException, HttpTrouble) as error:
            self.close()
            if is_late.is_set() or isinstance(error, TimeoutError):
                raise HttpTrouble(f"no answer within {self._total_s:g} s") from error
            if isinstance(error, HttpTrouble):
                raise
            raise HttpTrouble(words_of(error)) from error
        finally:
            watchdog.cancel()

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _opened(self) -> http.client.HTTPConnection:
        if self._connection is None:
            place = self._place
            connection = http.client.HTTPConnection(place.host, place.port, timeout=self._total_s)
            if place.is_tls:
                connection.default_port = 443  # keeps the port out of the Host header
            connection.sock = self._socket()
            self._connection = connection
        return self._connection

    def _socket(self) -> socket.socket:
        connected = self._connected()
        connected.settimeout(self._total_s)
        if not self._place.is_tls:
            return connected
        try:
            return ssl.create_default_context().wrap_socket(connected, server_hostname=self._place.host)
        except BaseException:
            connected.close()
            raise

    def _connected(self) -> socket.socket:
        """A socket to the first address that is allowed and answers."""
        found = socket.getaddrinfo(self._place.host, self._place.port, type=socket.SOCK_STREAM)
        allowed = [entry for entry in found if self._may_connect(ip_address(entry[4][0].split("%")[0]))]  # type: ignore[union-attr]
        if not allowed:
            raise ForbiddenAddress("the host's address is loopback, link-local or private")
        for number, (family, kind, protocol, _, address) in enumerate(allowed, 1):
            connecting = socket.socket(family, kind, protocol)
            try:
                connecting.settimeout(CONNECT_S)
                connecting.connect(address)
            except OSError:
                connecting.close()
                if number == len(allowed):
                    raise
            else:
                return connecting
        raise AssertionError("bug: no address was tried")

    def _cut_off(self, is_late: threading.Event) -> None:
        is_late.set()
        connection = self._connection
        if connection is not None and connection.sock is not None:
            with suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)


def retry_after(value: str | None) -> float | None:
    """The seconds that a server asks to wait; None for a date, which few servers send."""
    return float(value) if value is not None and value.strip().isdecimal() and len(value) < 9 else None


def words_of(error: Exception) -> str:
    """What went wrong with a connection, for people; nothing of the request."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not valid: {error.verify_message}"
    if isinstance(error, socket.gaierror):
        return "the host's name is not known"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return f"the connection ended ({type(error).__name__})"
