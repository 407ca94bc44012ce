"""Webhooks: a job's summary posted to a URL, signed, and to public addresses only.

The signature is the hex HMAC-SHA256, under the secret, of the timestamp, a dot and the body as sent.
"""

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from ipaddress import IPv6Address, ip_network
from typing import Any

from rankmill.db.rankings.notifications import NotAccepted, Notification
from rankmill.db.runtime.http_client import Address, Client, ForbiddenAddress, HttpTrouble, WrongUrl, place_of
from rankmill.db.runtime.version import program_version

TOTAL_S = 30.0
SIGNATURE, TIMESTAMP, NOTICE = "X-Rankmill-Signature", "X-Rankmill-Timestamp", "X-Rankmill-Notice"
# What a gateway, or the machine itself, may take for an IPv4 address.
WRAPPED_IPV4 = tuple(map(ip_network, ("::/96", "64:ff9b::/96", "64:ff9b:1::/48")))


def post(notification: Notification, summary: Mapping[str, Any], *, secret: str, allow_private: bool) -> None:
    """Posts the job's summary. Raises NotAccepted unless the receiver answers with 2xx."""
    try:
        place = place_of(notification.address)
    except WrongUrl as error:
        raise NotAccepted(f"the URL cannot be used: {error}") from error
    body = json.dumps(summary, ensure_ascii=False).encode()
    timestamp = str(int(time.time()))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"rankmill/{program_version()}",
        TIMESTAMP: timestamp,
        SIGNATURE: f"v1={signature(secret, timestamp, body)}",
        NOTICE: str(notification.notice_id),
        "Connection": "close",
    }
    may_connect = (lambda _: True) if allow_private else is_public
    client = Client(place, total_s=TOTAL_S, may_connect=may_connect)
    try:
        answer = client.request("POST", place.path, body, headers)
    except ForbiddenAddress as trouble:
        raise NotAccepted(
            f"{place.shown()}: {trouble}; RANKMILL_WEBHOOK_PRIVATE=true in the process that sends allows that"
        ) from trouble
    except HttpTrouble as trouble:
        raise NotAccepted(f"{place.shown()}: {trouble}") from trouble
    finally:
        client.close()
    if not 200 <= answer.status < 300:
        raise NotAccepted(f"{place.shown()} answered {answer.status}", answer.retry_after_s)


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """The signature that a receiver computes for itself and compares."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def is_public(address: Address) -> bool:
    """Whether an address is public; an address that wraps another one counts as the one inside."""
    if isinstance(address, IPv6Address):
        wrapped = address.ipv4_mapped or address.sixtofour
        if wrapped is None and any(address in network for network in WRAPPED_IPV4):
            return False
        if wrapped is not None:
            address = wrapped
    return address.is_global and not address.is_multicast
