"""Tables of the sources file for providers whose webhooks are known: one file each, with where its secret is."""

from importlib import resources


def names() -> list[str]:
    """Return the providers for which there is a recipe."""
    files = resources.files(__package__).iterdir()
    return sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))


def text(name: str) -> str:
    """Return a provider's table.

    Raises:
        FileNotFoundError: there is no recipe of that name.
    """
    return resources.files(__package__).joinpath(f"{name}.toml").read_text("utf-8")
