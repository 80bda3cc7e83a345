"""The files in deploy/dataflow agree with the code that they follow from."""

import json
import re
from pathlib import Path

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from google.cloud.dataflow_v1beta3.types import templates
from google.protobuf import json_format

from pipelines.deploy import files, template
from pipelines.io.options import BATCH, STREAMING, ParleyOptions

FOLDER = Path(__file__).parents[3] / files.FOLDER
GIVEN = {
    "max_num_workers": "10",
    "mode": "batch",
    "archive": "gs://bucket/raw",
    "archive_keys": "gs://keys/raw",
    "archive_key_secret": "projects/p/secrets/archive-key",
    "output": "gs://bucket/rows",
    "from": "2026-03-01",
    "to": "2026-03-02T12:00:00Z",
    "source": "facebook,twilio",
    "reason": "nightly",
    "subscription": "projects/p/subscriptions/a,projects/p/subscriptions/b",
    "bigquery_project": "a-project",
    "dataset_prefix": "x_",
    "bigquery_location": "EU",
    "append_connections": "8",
    "erasure_key_secret": "projects/p/secrets/erasure-key",
    "sdk_container_image": "an-image",
}
"""A value for every parameter of the templates."""


def read(mode: str) -> dict:
    return json.loads((FOLDER / f"{mode}.json").read_text("utf-8"))


@pytest.mark.parametrize("name", ["streaming.json", "batch.json", "steps.txt"])
def test_the_file_is_what_make_dataflow_files_writes(name: str):
    written = (FOLDER / name).read_text("utf-8")

    assert written == files.generated()[name], (
        "make dataflow-files writes it again; where steps of the streaming job are gone, "
        "docs/upgrading.md must say how running jobs are updated"
    )


@pytest.mark.parametrize("mode", [STREAMING, BATCH])
def test_dataflow_knows_every_field_of_the_metadata(mode: str):
    parsed = json_format.ParseDict(read(mode), templates.TemplateMetadata.pb(templates.TemplateMetadata()))

    assert json_format.MessageToDict(parsed)["parameters"] == [
        {key: value for key, value in parameter.items() if value is not False}
        for parameter in read(mode)["parameters"]
    ]


@pytest.mark.parametrize("mode", [STREAMING, BATCH])
def test_each_parameter_is_an_option_and_what_it_allows_is_taken(mode: str):
    parameters = {parameter["name"]: parameter for parameter in read(mode)["parameters"]}
    assert parameters.keys() <= GIVEN.keys()
    flags = []
    for name, parameter in parameters.items():
        assert all(re.fullmatch(regex, GIVEN[name]) for regex in parameter.get("regexes", []))
        assert GIVEN[name] in [option["value"] for option in parameter.get("enumOptions", [])] or (
            parameter["paramType"] != "ENUM"
        )
        flags.append(f"--{name}={GIVEN[name]}")

    options = PipelineOptions(flags)

    known = options.get_all_options().keys()
    assert options.get_all_options(retain_unknown_options=True).keys() == known
    assert options.view_as(ParleyOptions).target().rows_dataset == "x_parley_rows"


def test_what_is_listed_is_asked_for_with_commas_since_a_template_has_each_parameter_once():
    flags = [f"--{name}={GIVEN[name]}" for name in ("subscription", "source", "from")]
    options = PipelineOptions(flags).view_as(ParleyOptions)

    assert options.subscriptions == ["projects/p/subscriptions/a", "projects/p/subscriptions/b"]
    assert options.selection().sources == ("facebook", "twilio")
    assert options.selection().start.isoformat() == "2026-03-01T00:00:00+00:00"


def test_options_reach_workers_as_json():
    flags = [f"--{name}={value}" for name, value in GIVEN.items()]
    handed_on = json.loads(json.dumps(PipelineOptions(flags).get_all_options(drop_default=True)))

    again = PipelineOptions.from_dictionary(handed_on).get_all_options(drop_default=True)
    assert again.keys() <= handed_on.keys()


@pytest.mark.parametrize("mode", [STREAMING, BATCH])
def test_every_option_of_a_mode_can_be_given_to_its_template(mode: str):
    offered = {parameter["name"] for parameter in read(mode)["parameters"]}
    named = {option.option_strings[0].removeprefix("--") for option in template.options(mode)}

    assert offered - named == {"sdk_container_image", *(["max_num_workers"] if mode == STREAMING else [])}
    assert named - offered == set()
