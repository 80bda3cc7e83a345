"""The receiver: a thin Flask app that makes webhooks durable."""
