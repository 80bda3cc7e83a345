"""Live chat answers: the conversations that visitors are shown, and how their browsers hear what is new."""
