"""Google Cloud Pub/Sub on one machine, without Java: for laptops and for tests of failures.

The official clients use it as they use Google's emulator, through `PUBSUB_EMULATOR_HOST`.
"""

from pipelines.local.pubsub.faults import Faults, RemoteFaults
from pipelines.local.pubsub.server import PubSubServer

__all__ = ["Faults", "PubSubServer", "RemoteFaults"]
