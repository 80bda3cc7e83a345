"""The sender: takes replies from Pub/Sub, and sends each of them once; the way is `docs/sending.md`."""
