"""Validates `deploy/terraform` and records what it would make, for the tests: `make terraform`.

Terraform itself runs, with `stand_in_provider` in place of Google's providers and the variables of
example.tfvars.json. terraform_plan.json then holds each resource with its values, the addresses of those that
there are without any switch, and the fingerprint of all it follows from, by which a test finds out that it is of
today.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TERRAFORM = ROOT / "deploy" / "terraform"
VARIABLES = HERE / "example.tfvars.json"
SOURCES = HERE / "example.sources.toml"
PLAN = HERE / "terraform_plan.json"


def fingerprint() -> str:
    digest = hashlib.sha256()
    made_of = [*TERRAFORM.glob("*.tf"), *TERRAFORM.glob("*/*.*")]
    for path in [*sorted(made_of), VARIABLES, SOURCES, HERE / "google_schema.json"]:
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def main() -> None:
    from stand_in_provider import running

    with tempfile.TemporaryDirectory() as folder, running() as found:
        copy = Path(folder) / "terraform"
        shutil.copytree(TERRAFORM, copy, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*", "*.tfvars*"))
        shutil.copy(SOURCES, copy / SOURCES.name)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
        environ = {**kept, **found, "TF_CLI_CONFIG_FILE": os.devnull, "CHECKPOINT_DISABLE": "1"}

        def terraform(*arguments: str) -> str:
            command = ["terraform", *arguments]
            done = subprocess.run(command, cwd=copy, env=environ, stdout=subprocess.PIPE, text=True, check=False)
            if done.returncode:
                sys.exit(f"terraform {arguments[0]}:\n{done.stdout}")
            return done.stdout

        terraform("fmt", "-check", "-diff")
        terraform("init", "-backend=false", "-input=false")
        sys.stdout.write(terraform("validate", "-no-color"))
        # First as docs/deploy.md begins, without receivers and job, then with everything.
        (copy / "terraform.tfvars.json").write_text(json.dumps(_first_step()), "utf-8")
        terraform("plan", "-input=false", "-out=first")
        first = json.loads(terraform("show", "-json", "first"))
        shutil.copy(VARIABLES, copy / "terraform.tfvars.json")
        terraform("plan", "-input=false", "-out=plan")
        shown = json.loads(terraform("show", "-json", "plan"))
    recorded = {
        "fingerprint": fingerprint(),
        "terraform": shown["terraform_version"],
        "first_step": sorted(resources(first)),
        "resources": resources(shown),
    }
    PLAN.write_text(json.dumps(recorded, indent=1, sort_keys=True) + "\n", "utf-8")
    sys.stdout.write(f"{len(recorded['resources'])} resources: see {PLAN.relative_to(ROOT)}\n")


def _first_step() -> dict[str, Any]:
    variables = json.loads(VARIABLES.read_text("utf-8"))
    return {name: variables[name] for name in ("project", "region", "domain")}


def resources(shown: dict[str, Any]) -> dict[str, Any]:
    """Return the values of each planned resource by its address, without those that are not set."""
    planned = shown["planned_values"]["root_module"]["resources"]
    return {resource["address"]: _set(resource["values"]) for resource in planned if resource["mode"] == "managed"}


def _set(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _set(inner) for key, inner in value.items() if inner not in (None, [], {})}
    return [_set(inner) for inner in value] if isinstance(value, list) else value


if __name__ == "__main__":
    main()
