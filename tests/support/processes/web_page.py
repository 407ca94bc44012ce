"""HTTP requests to a server on loopback, as a browser with or without credentials makes them."""

import base64
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Site:
    """A server on this machine's loopback; `auth` is USER:PASSWORD or None."""

    port: int
    auth: str | None = None

    def answer(self, path: str, method: str = "GET") -> tuple[int, str]:
        """Status and body; 0 and the reason when nobody listens."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        if method != "GET":
            request.data = b"{}"
        if self.auth is not None:
            request.add_header("Authorization", "Basic " + base64.b64encode(self.auth.encode()).decode())
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read().decode(errors="replace")
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read().decode()
        except OSError as nobody:
            return 0, str(nobody)

    def json(self, path: str) -> Any:
        """The body of a page that answers 200 with JSON; None for any other answer."""
        status, body = self.answer(path)
        return json.loads(body) if status == 200 else None
