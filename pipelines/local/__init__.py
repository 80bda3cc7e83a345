"""The local stack: everything that Google Cloud runs in production, on one machine."""
