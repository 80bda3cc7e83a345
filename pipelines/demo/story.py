"""What every story of the demo needs: to say that something was not as it should be."""

import click


class StoryError(click.ClickException):
    """Something was not as the story tells it."""


def expect(what: str, found: object, expected: object) -> None:
    """Make sure of something.

    Raises:
        StoryError: it is otherwise.
    """
    if found != expected:
        raise StoryError(f"{what}: expected {expected}, found {found}")
