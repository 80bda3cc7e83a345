"""The readers and writers of the pipeline: Pub/Sub, the archive, Parquet; and its options."""
