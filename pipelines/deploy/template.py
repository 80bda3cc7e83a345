"""Describes the pipeline's own options as Flex Templates, so that consoles and schedulers can ask for them.

https://cloud.google.com/dataflow/docs/reference/rest/v1b3/TemplateMetadata
"""

import argparse
from collections.abc import Iterator
from typing import Any, Final

from pipelines.io.options import BATCH, BOTH, STREAMING, ParleyOptions

_NAMES: Final = {STREAMING: "Parley: live", BATCH: "Parley: plan a reprocessing"}
_DESCRIPTIONS: Final = {
    STREAMING: "Reads raw events from Pub/Sub and appends contacts, conversations and messages to BigQuery.",
    BATCH: "Makes rows of the archive again, loads them beside the current ones and compares. "
    "Nothing that anybody reads has changed: parley backfill apply does that.",
}
_REQUIRED: Final = {STREAMING: set[str](), BATCH: {"mode", "archive"}}
# A template runs in a cluster, and reads Pub/Sub as the cluster does.
_LEFT_OUT: Final = {STREAMING: {"mode", "live_reader", "live_readers"}, BATCH: set[str]()}
_IMAGE: Final = {
    "name": "sdk_container_image",
    "label": "Image of the workers",
    "helpText": "The image that this template was built with: workers then start with all that they need",
    "isOptional": False,
    "paramType": "TEXT",
}
_MOST_WORKERS: Final = {
    "name": "max_num_workers",
    "label": "Workers at most",
    "helpText": "How many workers Dataflow may start. In place of the environment's maxWorkers, which Terraform's "
    "provider reads back of no job in Python, and for which it would replace the job",
    "isOptional": True,
    "paramType": "TEXT",
    "regexes": [r"^[1-9][0-9]*$"],
}
_FOLDERS: Final = {"archive": "GCS_READ_FOLDER", "output": "GCS_WRITE_FOLDER"}
_BUCKET: Final = r"^gs://[^\n\r]+$"


def metadata(mode: str) -> dict[str, Any]:
    """Return the metadata of the template for a mode, as `gcloud dataflow flex-template build` takes it."""
    parameters = [*(_parameter(option, mode) for option in options(mode)), _IMAGE]
    described = {
        "name": _NAMES[mode],
        "description": _DESCRIPTIONS[mode],
        "streaming": mode == STREAMING,
        "parameters": parameters,
    }
    if mode == BATCH:
        return described
    return described | {
        "parameters": [*parameters, _MOST_WORKERS],
        "supportsAtLeastOnce": True,
        "supportsExactlyOnce": True,
        "defaultStreamingMode": "AT_LEAST_ONCE",
    }


def options(mode: str) -> Iterator[argparse.Action]:
    """Yield the definitions of the pipeline's own options that a template of a mode asks for."""
    parser = argparse.ArgumentParser(add_help=False)
    ParleyOptions._add_argparse_args(parser)
    for group in parser._action_groups:
        if group.title in {BOTH, mode}:
            yield from (option for option in group._group_actions if _name(option) not in _LEFT_OUT[mode])


def _name(option: argparse.Action) -> str:
    return option.option_strings[0].removeprefix("--")


def _parameter(option: argparse.Action, mode: str) -> dict[str, Any]:
    name = _name(option)
    said = " ".join((option.help or "").split())
    parameter: dict[str, Any] = {
        "name": name,
        "label": name.replace("_", " ").capitalize().replace("Bigquery", "BigQuery"),
        "helpText": said[:1].upper() + said[1:],
        "isOptional": name not in _REQUIRED[mode],
    }
    if name == "mode":
        return parameter | {"paramType": "ENUM", "enumOptions": [{"value": mode}], "defaultValue": mode}
    if name in _FOLDERS:
        return parameter | {"paramType": _FOLDERS[name], "regexes": [_BUCKET]}
    return parameter | {"paramType": "TEXT"} | ({"defaultValue": str(option.default)} if option.default else {})
