"""A sample world: realistic webhooks of all sources, for demos, benchmarks, load and tests.

All of it follows from a seed and a size. `story` says what happens in a conversation, `voices` how each source
reports it, `delivery` when and how often its webhooks come, `write_archive` and `send` where they go.
"""
