"""Sends a sample world to a receiver over HTTP, signed, at a given rate."""

import http.client
import queue
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

from pipelines.generate.delivery import Delivery
from pipelines.generate.signing import Sign
from schemas.custom_sources import BUILT_IN

CONNECTIONS: Final = 32
TIMEOUT_SECONDS: Final = 30
UNREACHABLE: Final = 0
"""Counted where there was no answer."""


def send(deliveries: Iterable[Delivery], url: str, rate: float, signs: Mapping[str, Sign]) -> Counter[int]:
    """Send webhooks in their order, at a rate a second (0: as fast as possible); return how many had each status.

    Nothing is tried again: what is not answered with 2xx is counted as what it was.
    """
    waiting: queue.Queue[Delivery | None] = queue.Queue(maxsize=2 * CONNECTIONS)
    counts: Counter[int] = Counter()
    lock = threading.Lock()
    senders = [
        threading.Thread(target=_send_waiting, args=(waiting, url, signs, counts, lock))
        for _ in range(CONNECTIONS)
    ]
    for sender in senders:
        sender.start()
    try:
        begin = time.monotonic()
        for number, delivery in enumerate(deliveries):
            if rate and (early := begin + number / rate - time.monotonic()) > 0:
                time.sleep(early)
            waiting.put(delivery)
    finally:
        for _ in senders:
            waiting.put(None)
        for sender in senders:
            sender.join()
    return counts


def _send_waiting(
    waiting: "queue.Queue[Delivery | None]",
    url: str,
    signs: Mapping[str, Sign],
    counts: Counter[int],
    lock: threading.Lock,
) -> None:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)
    while (delivery := waiting.get()) is not None:
        status = _post(connection, parts.path.rstrip("/"), delivery, signs)
        with lock:
            counts[status] += 1
    connection.close()


def _post(connection: http.client.HTTPConnection, base: str, delivery: Delivery, signs: Mapping[str, Sign]) -> int:
    webhook = delivery.webhook
    path = webhook.endpoint if webhook.endpoint in BUILT_IN else f"sources/{webhook.endpoint}"
    headers = {
        "Content-Type": webhook.content_type,
        **signs[webhook.endpoint](webhook, f"msg_{delivery.mark:019x}"),
    }
    try:
        connection.request("POST", f"{base}/{path}", webhook.body, headers)
        response = connection.getresponse()
        response.read()
    except (OSError, http.client.HTTPException):
        connection.close()
        return UNREACHABLE
    return response.status
