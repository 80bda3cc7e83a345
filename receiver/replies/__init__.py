"""Taking replies to be sent: who may post them, and one id for each idempotency key."""
