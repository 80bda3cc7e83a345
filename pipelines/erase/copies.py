"""Until when copies of what was erased can exist, by the settings of those who keep them, which are asked."""

import datetime as dt
import os
from typing import Final

import msgspec
from google.api_core.exceptions import GoogleAPICallError
from google.auth.exceptions import GoogleAuthError
from google.cloud import bigquery

from pipelines.bigquery.target import REST_EMULATOR, Target
from pipelines.erase import retiring
from pipelines.io.archive_keys import from_environment
from receiver.durable.keyring import RETIRING, Keyring
from schemas.archive_layout import REPLIES

FAIL_SAFE_DAYS: Final = 7
"""https://cloud.google.com/bigquery/docs/time-travel#fail-safe: not to be changed."""
TIME_TRAVEL_HOURS: Final = 168
"""What BigQuery takes where a dataset says nothing."""
MOST_PUBSUB_DAYS: Final = 31
"""What Pub/Sub keeps at most: https://cloud.google.com/pubsub/docs/replay-overview."""

_SEALED: Final = "archived events are sealed, and their old keys destroyed"
_BESIDE: Final = ("chat", "waiting", "state", "taken")
"""Folders of the registers beside the archive that say something of people."""


class Copy(msgspec.Struct, frozen=True):
    """A kind of copy, and until when it can exist."""

    what: str
    days: float | None
    """After what was copied was erased; None: for ever, as nothing deletes it."""
    how: str
    """`checked`: the setting was read; `documented`: there is none; `assumed`: it could not be read."""


def copies(client: bigquery.Client, live: Target, archive: str) -> list[Copy]:
    """Return every kind of copy that the installation may have."""
    found = []
    for name in (live.rows_dataset, live.views_dataset):
        hours = client.get_dataset(f"{live.project}.{name}").max_time_travel_hours
        how = "checked" if hours else "documented"
        found.append(Copy(f"time travel of {name}", int(hours or TIME_TRAVEL_HOURS) / 24, how))
    found.append(Copy("fail-safe of BigQuery, behind time travel", FAIL_SAFE_DAYS, "documented"))
    found.append(_pubsub(live))
    if archive.startswith("gs://"):
        found += _sealed(archive, _bucket(archive.removeprefix("gs://").partition("/")[0]))
    return found


def _sealed(archive: str, kept: list[Copy]) -> list[Copy]:
    """Return what a bucket keeps as copies that nobody can read, as far as that is so.

    It is where every event is sealed, and has been for longer than the bucket keeps anything, and where the keys
    that were destroyed are gone themselves.
    """
    known = from_environment(archive=archive)
    keys = known.keyring()
    if keys is None or not any(each.days is None or each.days for each in kept):
        return kept
    if why := _why_readable(keys, archive, kept):
        return [_but(each, why) for each in kept]
    how, of_keys = "assumed", []
    if known.place.startswith("gs://"):
        # Of a folder nobody can be asked whether copies of it are kept.
        how, of_keys = "checked", _bucket(known.place.removeprefix("gs://").partition("/")[0])
    if any(each.days is None or each.days for each in of_keys):
        return [*kept, *(_but(each, "of the keys") for each in of_keys)]
    beside = [_but(each, "replies and the live chat") for each in kept] if _has_others(archive) else []
    return [*beside, *(Copy(f"{each.what}: {_SEALED}", 0, how) for each in kept)]


def _why_readable(keys: Keyring, archive: str, kept: list[Copy]) -> str:
    """Return why copies of a bucket may hold what can be read; empty where they do not."""
    longest = max((dt.timedelta.max.days if each.days is None else each.days for each in kept), default=0)
    plain = retiring.last_plain(keys)
    if plain is not None and (dt.datetime.now(dt.UTC).date() - plain).days <= longest + 1:
        return f"plain until {plain.isoformat()}"
    if keys.store.names(f"{RETIRING}/"):
        return "a key is yet to be destroyed: say apply again"
    return "" if retiring.is_all_sealed(archive) else "not all of the archive is sealed"


def _has_others(archive: str) -> bool:
    """Return whether what lies beside the events of a bucket, and is not sealed, is there or kept as a copy.

    What cannot be told is taken to be kept: erasers may not restore what was deleted, which Cloud Storage asks for
    of whoever lists that. https://cloud.google.com/storage/docs/use-soft-deleted-objects#required-permissions
    """
    from google.api_core.exceptions import BadRequest, Forbidden  # noqa: PLC0415
    from google.cloud import storage  # noqa: PLC0415

    client = storage.Client()
    bucket, _, prefix = archive.removeprefix("gs://").partition("/")
    for folder in _BESIDE:
        name = f"{prefix.strip('/')}/{REPLIES}/{folder}/".lstrip("/")
        for asked in ({}, {"versions": True}, {"soft_deleted": True}):
            try:
                if any(True for _ in client.list_blobs(bucket, prefix=name, max_results=1, **asked)):
                    return True
            except (BadRequest, Forbidden):
                if "soft_deleted" in asked:
                    return True
                raise
    return False


def _but(kept: Copy, why: str) -> Copy:
    return msgspec.structs.replace(kept, what=f"{kept.what} ({why})")


def last_day(found: list[Copy], erased_at: dt.datetime) -> dt.date:
    """Return the last day on which a copy can exist, when all was erased at a time; `date.max` where for ever."""
    if any(each.days is None for each in found):
        return dt.date.max
    travel = max((each.days or 0 for each in found if each.what.startswith("time travel")), default=0)
    others = max((each.days or 0 for each in found if not each.what.startswith("fail-safe")), default=0)
    days = max(others, travel + FAIL_SAFE_DAYS)
    return (erased_at + dt.timedelta(days=days)).date() + dt.timedelta(days=1)


def _pubsub(live: Target) -> Copy:
    """Return how long Pub/Sub keeps messages: what its subscriptions and topics say, or the most that they may."""
    from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient  # noqa: PLC0415

    project = f"projects/{live.project}"
    if os.environ.get(REST_EMULATOR):
        return Copy("messages of Pub/Sub", MOST_PUBSUB_DAYS, "assumed")
    try:
        with SubscriberClient() as subscriber:
            kept = [each.message_retention_duration for each in subscriber.list_subscriptions(project=project)]
        kept += [each.message_retention_duration for each in PublisherClient().list_topics(project=project)]
    except (GoogleAPICallError, GoogleAuthError):
        return Copy("messages of Pub/Sub", MOST_PUBSUB_DAYS, "assumed")
    longest = max((each for each in kept if each), default=dt.timedelta(days=7))
    return Copy("messages of Pub/Sub", longest / dt.timedelta(days=1), "checked")


def _bucket(name: str) -> list[Copy]:
    """Return how long a bucket keeps what was replaced."""
    from google.cloud import storage  # noqa: PLC0415

    bucket = storage.Client().get_bucket(name)
    seconds = bucket.soft_delete_policy.retention_duration_seconds or 0
    found = [Copy(f"soft deletion of {name}", seconds / 86_400, "checked")]
    if bucket.versioning_enabled:
        ages = [
            rule["condition"].get("daysSinceNoncurrentTime")
            for rule in bucket.lifecycle_rules
            if rule["action"]["type"] == "Delete"
        ]
        known = [age for age in ages if age is not None]
        found.append(Copy(f"old versions in {name}", min(known, default=None), "checked"))
    return found
