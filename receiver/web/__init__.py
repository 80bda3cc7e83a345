"""The webhook's way in: from the server's protocol to an event that is durable."""
