"""Flower as a program of its own, on a Celery application that reads nothing from the current folder.

Run: python -P -m rankmill.producer.broker.monitor. Its settings are Flower's own variables.
"""

import os
import sys

from flower.urls import handlers
from tornado.web import RedirectHandler, url

from rankmill.producer.broker.application import isolated_application


def main() -> int:
    """Runs Flower until it is stopped; its exit code."""
    if prefix := os.environ.get("FLOWER_URL_PREFIX"):  # Flower knows the path only with a slash behind it
        handlers.insert(0, url(r"", RedirectHandler, {"url": f"/{prefix}/", "permanent": False}))
    app = isolated_application("rankmill-monitor")
    # Without --conf Flower would run a flowerconfig.py that happens to lie here.
    return int(app.start(["flower", f"--conf={os.devnull}"]) or 0)


if __name__ == "__main__":
    sys.exit(main())
