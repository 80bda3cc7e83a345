"""The command line: `parley`. Commands are imported when they are used, so that a host needs only its part."""

import importlib
import sys
from typing import Any

import click

from pipelines.run.logs import quiet_beam

COMMANDS = {
    "archive": ("pipelines.erase.archive_command:archive_commands", "Seal what the archive has unsealed."),
    "backfill": (
        "pipelines.reprocess.backfill_commands:backfill",
        "Reprocess history: plan, inspect, apply, roll back.",
    ),
    "batch": ("pipelines.run.pipeline_commands:batch", "Normalize an archive into datasets of their own."),
    "dashboard": (
        "pipelines.dashboard.dashboard_command:dashboard",
        "Serve a web page that shows what is in BigQuery.",
    ),
    "dead-letters": (
        "pipelines.reprocess.dead_letter_commands:dead_letters",
        "List what could not be normalized or stored, and retry it.",
    ),
    "deploy": ("pipelines.deploy.deploy_commands:deploy", "Run the pipeline as a job on Dataflow."),
    "demo": ("pipelines.demo.demo_command:demo", "Run the main job end to end on this machine."),
    "erase": ("pipelines.erase.erase_commands:erase", "Erase a person everywhere, and prove it."),
    "export": ("pipelines.erase.export_command:export", "Give a person all that is known of them."),
    "generate": ("pipelines.generate.generate_command:generate", "Make a sample world of signed webhooks."),
    "hold": ("pipelines.erase.retention_commands:hold", "Hold what nobody may erase, until a day."),
    "people": ("pipelines.run.people_commands:people", "Show who is who, and decide it."),
    "preview": ("pipelines.run.preview:preview", "Show the rows that a webhook's body makes."),
    "query": ("pipelines.run.query_command:query", "Run SQL, and print or export the result."),
    "rates": ("pipelines.run.rates_command:rates", "Check the rate card: what messages cost."),
    "reconcile": ("pipelines.reprocess.reconcile_command:reconcile", "Compare archive, ledger and rows."),
    "reply": ("pipelines.run.reply_command:reply", "Post a reply to be sent, by ids or by conversation."),
    "retain": ("pipelines.erase.retention_commands:retain", "Let go what was kept long enough."),
    "run": ("pipelines.local.stack:run", "Run all of Parley on this machine until Ctrl-C."),
    "sandbox": ("pipelines.sandbox.sandbox_command:sandbox", "Be Graph and Twilio here, for whoever sends."),
    "send": ("pipelines.replies.send_command:send", "Send the replies that were posted, until SIGTERM."),
    "settle": ("pipelines.reprocess.settle_command:settle", "Bring yesterday in order: the nightly command."),
    "sources": ("pipelines.run.sources_command:sources", "Check the configured sources and print their URLs."),
    "spool": (
        "receiver.operate.spool_command:spool_commands",
        "Publish events that a lost receiver left in its spool.",
    ),
    "stream": ("pipelines.run.pipeline_commands:stream", "Run the live pipeline."),
    "tables": ("pipelines.run.table_commands:tables", "Create or extend the tables and views."),
}
"""Each command: where it is, and what it does, stated here so that `--help` need not import it."""


class _LazyGroup(click.Group):
    """Knows its commands by name and imports one when it is asked for.

    https://click.palletsprojects.com/en/stable/complex/#lazily-loading-subcommands
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what fails on the way to BigQuery is one line, whatever the command."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            from pipelines.run.failures import in_words  # noqa: PLC0415 - no command pays for what does not fail

            said = in_words(error)
            if said is None:
                raise
            raise click.ClickException(said) from error

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, what) for name, (_, what) in sorted(COMMANDS.items())])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        quiet_beam()
        module, name = COMMANDS[cmd_name][0].split(":")
        try:
            command: Any = getattr(importlib.import_module(module), name)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] in {"pipelines", "receiver", "schemas"}:
                raise
            raise click.ClickException(
                f"'parley {cmd_name}' needs the package {error.name}, which is not installed here: "
                "install parley[pipeline], parley[dataflow], parley[receiver] or parley[local]"
            ) from error
        assert isinstance(command, click.Command)  # noqa: S101
        return command


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="parley")
def main() -> None:
    """Conversational webhooks to contacts, conversations and messages in BigQuery."""


if __name__ == "__main__":
    sys.exit(main())
