"""What runs the pipeline: in batch, live, and the commands that start it."""
