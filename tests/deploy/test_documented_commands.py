"""Every command of the documents on deployment exists, and so does each of its flags.

Our own commands and Beam's options are looked up in their definitions; other clients' flags in `command_flags`,
which says where it has them from. The commands are not run.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import command_flags as known
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

import pipelines.io.options  # noqa: F401 - lets Beam know the pipeline's options
from pipelines.cli import main

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "docs" / "deploy.md", ROOT / "docs" / "upgrading.md", ROOT / "deploy" / "README.md"]
CLIENTS = ("parley", "gcloud", "terraform", "docker", "curl", "make")
# What needs no looking up: the shell's own, and programs without any of our flags.
PLAIN = {"export", ".", "git", "python"}
ASSIGNMENT = re.compile(r"[A-Z_]+=")


def commands(page: Path) -> Iterator[list[str]]:
    """Yield the words of each command of a page: of its shell blocks, and those within its text."""
    text = page.read_text("utf-8")
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            yield from simple_commands(line)
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    for code in re.findall(r"`([^`]+)`", prose.replace("\n", " ")):
        if code.split()[0] in CLIENTS and " " in code:
            yield shlex.split(code)


def simple_commands(line: str) -> Iterator[list[str]]:
    """Yield a line's commands: those that feed others, and those in $(…)."""
    inner = re.findall(r"\$\(([^()]*)\)", line)
    for command in [*inner, *re.sub(r"\$\([^()]*\)", "…", line).split(" | ")]:
        words = shlex.split(command, comments=True)
        while words and ASSIGNMENT.match(words[0]):
            words.pop(0)
        if words:
            yield words


EVERY = [
    pytest.param(words, id=f"{page.name}: {shlex.join(words)[:80]}") for page in PAGES for words in commands(page)
]


@pytest.mark.parametrize("words", EVERY)
def test_every_flag_is_one_that_the_client_has(words: list[str]):
    client, *rest = words
    assert unknown(client, rest) == []


def test_every_live_job_is_told_the_key_of_erasures():
    """Without it a job stores nothing once somebody was erased, also one that was told before it was updated."""
    live = [
        words
        for page in PAGES
        for words in commands(page)
        if words[:3] == ["parley", "deploy", "dataflow"] and "streaming" in words
    ]

    assert len(live) == 2
    assert all("--erasure_key_secret" in words for words in live)


def unknown(client: str, words: list[str]) -> list[str]:
    flags = {word.partition("=")[0] for word in words if word.startswith("-") and word != "-"}
    if client == "parley":
        return unknown_to_parley(words)
    if client == "gcloud":
        return sorted(flags - named(known.GCLOUD, words) - known.GCLOUD_EVERYWHERE)
    if client == "terraform":
        return sorted(flags - named(known.TERRAFORM, words) - known.TERRAFORM_EVERYWHERE)
    if client == "docker":
        return sorted(flags - named(known.DOCKER, words))
    if client == "curl":
        return sorted(flags - known.CURL)
    if client == "make":
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
        return [word for word in words if "=" not in word and word not in targets]
    return [] if client in PLAIN else [client]


def named(commands: dict[str, set[str]], words: list[str]) -> set[str]:
    """Return the flags of the command that the words begin with, global flags before it left aside."""
    words = [word for word in words if not word.startswith("-chdir")]
    for name, flags in commands.items():
        if words[: len(name.split())] == name.split():
            return flags
    raise AssertionError(f"no such command is recorded: {' '.join(words)}")


def unknown_to_parley(words: list[str]) -> list[str]:
    command: click.Command = main
    context = click.Context(main, info_name="parley")
    rest = list(words)
    while isinstance(command, click.Group) and rest:
        found = command.get_command(context, rest.pop(0))
        if found is None:
            return [" ".join(words)]
        command, context = found, click.Context(found, parent=context, info_name=found.name)
    ours = {name for parameter in command.params for name in parameter.opts}
    further = [word for word in rest if word.startswith("--") and word.partition("=")[0] not in ours]
    if command.name == "dataflow" and further:
        return unknown_to_beam(rest_of(rest, ours))
    return further


def unknown_to_beam(words: list[str]) -> list[str]:
    """Return the options that neither Beam nor the pipeline defines; Beam itself only drops them."""
    options = PipelineOptions(words)
    known_ones = options.get_all_options().keys()
    return sorted(options.get_all_options(retain_unknown_options=True).keys() - known_ones)


def rest_of(words: list[str], ours: set[str]) -> list[str]:
    """Return the words that are no options of the command itself, nor their values."""
    given = iter(words)
    kept: list[str] = []
    for word in given:
        if word in ours:
            if word not in {"--update", "--force", "--dry_run"}:
                next(given, None)
        else:
            kept.append(word)
    return kept


@pytest.mark.parametrize(
    ("client", "words"),
    [
        ("parley", ["tables", "deploy", "--never"]),
        ("parley", ["no-such-command"]),
        ("parley", ["deploy", "dataflow", "--mode", "streaming", "--no_such_option", "1"]),
        ("gcloud", ["secrets", "versions", "add", "NAME", "--from-file=-"]),
        ("terraform", ["-chdir=deploy/terraform", "apply", "-yes"]),
        ("docker", ["build", "--containerfile", "x"]),
        ("make", ["no-such-target"]),
        ("kubectl", ["apply"]),
    ],
)
def test_what_is_invented_is_found(client: str, words: list[str]):
    assert unknown(client, words) != []


def test_every_variable_in_the_documents_is_one_of_terraforms():
    declared = set(
        re.findall(r'^variable "(\w+)"', (ROOT / "deploy/terraform/variables.tf").read_text("utf-8"), re.M)
    )
    blocks = re.findall(r"```hcl\n(.*?)```", PAGES[0].read_text("utf-8"), re.DOTALL)
    set_there = {name for block in blocks for name in re.findall(r"^(\w+)\s+=", block, re.MULTILINE)}

    assert set_there - declared == set()
    required = set(re.findall(r'variable "(\w+)" \{(?:(?!\n\}).)*?\n\}', without_defaults(), re.DOTALL))
    assert required <= set_there


def without_defaults() -> str:
    text = (ROOT / "deploy/terraform/variables.tf").read_text("utf-8")
    blocks = re.findall(r'variable "\w+" \{.*?\n\}\n', text, re.DOTALL)
    return "".join(block for block in blocks if "  default" not in block)


def test_every_output_in_the_documents_is_one_of_terraforms():
    declared = set(re.findall(r'^output "(\w+)"', (ROOT / "deploy/terraform/outputs.tf").read_text("utf-8"), re.M))
    used = {name for page in PAGES for name in re.findall(r"output (?:-raw )?(\w+)", page.read_text("utf-8"))}

    assert used - declared == set()
