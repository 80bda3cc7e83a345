"""The pipeline: raw events to contacts, conversations and messages in BigQuery."""
