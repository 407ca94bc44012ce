"""A reverse proxy, as it stands before a monitor: one path of its host leads to another server."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def proxy(path: str, port: int) -> Iterator[int]:
    """Passes requests below `path` on to the server at `port`, as they are; the port it listens on itself.

    Anything else belongs to another application of the host and answers 410.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not f"{self.path}/".startswith(f"{path}/"):
                self.send_error(410, "of another application")
                return
            behind = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            try:
                behind.request("GET", self.path, headers=dict(self.headers))
                answer = behind.getresponse()
                body = answer.read()
            except OSError as gone:
                self.send_error(502, str(gone))
                return
            finally:
                behind.close()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
