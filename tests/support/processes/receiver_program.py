"""A receiver of changes and webhooks as a program of its own, which misbehaves as it is told.

Run: python -m tests.support.processes.receiver_program PORT FOLDER. What it holds lies in FOLDER/state.json
and outlives it; FOLDER/plan.json is a list of misbehaviours, one for each request that is to come:

ok, stall, reset (nothing was taken), drop (all was taken, nothing is said), die (half was taken),
busy (429 with Retry-After), down (503), denied (401), moved (a redirect), large (413 for more than one),
partial (every second item is put off), nonsense (an answer that is none).

Documents whose id is in FOLDER/broken.json are refused for good by the bulk interface.
"""

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

FOLDER = Path(sys.argv[2]) if len(sys.argv) > 2 else Path()
LOCK = threading.Lock()


def read(name: str, otherwise: Any) -> Any:
    path = FOLDER / name
    return json.loads(path.read_text()) if path.exists() else otherwise


def write(name: str, value: Any) -> None:
    unfinished = FOLDER / f"{name}.new"
    unfinished.write_text(json.dumps(value))
    unfinished.replace(FOLDER / name)


def next_step() -> str:
    plan = read("plan.json", [])
    if plan:
        write("plan.json", plan[1:])
    return plan[0] if plan else "ok"


class Held:
    """Documents by id, each with its version and whether it was removed."""

    def __init__(self) -> None:
        self.documents: dict[str, Any] = read("state.json", {})

    def put(self, id_: str, version: int, source: Any) -> int:
        """The status of an external version: 409 unless it is greater than the one that is here."""
        before = self.documents.get(id_)
        if before is not None and before["version"] >= version:
            return 409
        was_there = before is not None and before["source"] is not None
        self.documents[id_] = {"version": version, "source": source}
        return 200 if was_there else 201 if source is not None else 404

    def save(self) -> None:
        write("state.json", self.documents)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with LOCK:
            step = next_step()
            self.serve(step, body)

    do_DELETE = do_POST

    def serve(self, step: str, body: bytes) -> None:
        if step == "stall":
            self.close_connection = True
            self.connection.recv(1)  # until the client gives up
        elif step == "reset":
            self.close_connection = True
        elif step in ("busy", "down", "denied", "moved"):
            status = {"busy": 429, "down": 503, "denied": 401, "moved": 307}[step]
            headers = {"busy": {"Retry-After": "0"}, "moved": {"Location": "/elsewhere"}}.get(step, {})
            self.answer(status, b"not now", headers)
        elif step == "nonsense":
            self.answer(200, b"[]")
        else:
            self.take(step, body)

    def take(self, step: str, body: bytes) -> None:
        path = urlsplit(self.path)
        if path.path.endswith("/_bulk"):
            self.bulk(step, [json.loads(line) for line in body.splitlines()])
        elif path.path.startswith("/document/v1/"):
            self.vespa(parse_qs(path.query), body)
        else:
            taken = read("taken.json", [])
            write("taken.json", [*taken, {"headers": dict(self.headers), "body": body.decode()}])
            if step == "drop":
                self.close_connection = True
            else:
                self.answer(200, b"")

    def bulk(self, step: str, lines: list[Any]) -> None:
        held, items, broken = Held(), [], read("broken.json", [])
        remaining = iter(lines)
        actions = [(action, None if "delete" in action else next(remaining)) for action in remaining]
        if step == "large" and len(actions) > 1:
            self.answer(413, b"too large")
            return
        if step == "die":
            actions = actions[: len(actions) // 2]
        for number, (action, source) in enumerate(actions):
            ((kind, about),) = action.items()
            status: int | None = None
            if step == "partial" and number % 2:
                status = 429
            elif source is not None and source["document_id"] in broken:
                status = 400
            error = {"type": "refused", "reason": "of the test"} if status else None
            assert about["version_type"] == "external"
            status = status or held.put(about["_id"], about["version"], source)
            items.append({kind: {"_id": about["_id"], "status": status, "error": error}})
        held.save()
        if step == "die":
            os._exit(1)
        if step == "drop":
            self.close_connection = True
            return
        self.answer(200, json.dumps({"errors": True, "items": items}).encode())

    def vespa(self, query: dict[str, list[str]], body: bytes) -> None:
        held, id_ = Held(), self.path.partition("?")[0].rpartition("/")[2]
        version = int(query["condition"][0].rpartition("<")[2])
        source = json.loads(body)["fields"] if self.command == "POST" else None
        status = held.put(id_, version, source)
        held.save()
        self.answer({409: 412, 201: 200}.get(status, status), b"{}")

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Silent."""


if __name__ == "__main__":
    ThreadingHTTPServer.allow_reuse_address = True
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
