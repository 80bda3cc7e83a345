"""The contracts between receiver, pipeline and analysts, and the loader that both sides use."""
