"""From an event to the disk, and from the disk to Pub/Sub and the bucket: nothing acknowledged is lost."""
