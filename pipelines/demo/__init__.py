"""What `parley demo` shows: webhooks in, rows out, and a bug of the past put right."""
