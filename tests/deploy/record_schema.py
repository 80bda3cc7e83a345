"""Records what Terraform's google provider says of the resources that `deploy/terraform` uses.

The provider itself cannot be had from a package registry, but its schema can: HashiCorp generated bindings
from it. `python tests/deploy/record_schema.py WHEEL…` takes the wheels of cdktf-cdktf-provider-google and
cdktf-cdktf-provider-google-beta 16.12.1 (pip download --no-deps), both of provider 6.50.0, and writes
google_schema.json: for each resource its arguments, blocks and what it exports.
"""

import io
import json
import re
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RECORDED = HERE / "google_schema.json"
TERRAFORM = HERE.parents[1] / "deploy" / "terraform"
_DECLARATION = re.compile(r'^(resource|data) "(google_\w+)"', re.MULTILINE)


def record(wheels: list[Path]) -> dict[str, Any]:
    used = set()
    for path in TERRAFORM.glob("*.tf"):
        used |= set(_DECLARATION.findall(path.read_text("utf-8")))
    recorded: dict[str, Any] = {}
    for wheel in wheels:
        types = _types(wheel)
        for kind, name in sorted(used):
            found = _found(types, kind, name)
            if found and f"{kind}.{name}" not in recorded:
                recorded[f"{kind}.{name}"] = found
    if missing := {f"{kind}.{name}" for kind, name in used} - recorded.keys():
        sys.exit(f"no provider has {', '.join(sorted(missing))}")
    return recorded


def _types(wheel: Path) -> dict[str, Any]:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(archive.read(name))) as package:
            member = package.extractfile("package/.jsii")
            assert member is not None
            return json.load(member)["types"]


def _found(types: dict[str, Any], kind: str, name: str) -> dict[str, Any] | None:
    plain = name.removeprefix("google_").replace("_", "")
    # The bindings of the beta provider say "google" in the names of resources, too.
    names = {f"datagoogle{plain}config"} if kind == "data" else {f"{plain}config", f"google{plain}config"}
    for fqn, definition in types.items():
        if fqn.rpartition(".")[2].lower() in names and fqn.count(".") == 2:
            resource = types[fqn[: -len("Config")]]
            return {**_block(types, definition), "exports": _exports(resource, definition)}
    return None


def _block(types: dict[str, Any], definition: dict[str, Any]) -> dict[str, Any]:
    arguments, blocks = {}, {}
    for given in definition.get("properties", []):
        name = _name(given)
        required = not given.get("optional")
        nested = _nested(given["type"])
        if nested is None:
            arguments[name] = {"type": _type(given["type"]), "required": required}
        elif name != "timeouts":
            blocks[name] = {**_block(types, types[nested]), "required": required}
    return {"arguments": arguments, "blocks": blocks}


def _exports(resource: dict[str, Any], config: dict[str, Any]) -> dict[str, str]:
    """Return what a resource has beyond its arguments: properties that cannot be set."""
    settable = {given["name"] for given in config.get("properties", [])}
    names = {given["name"] for given in resource["properties"]}
    ours = {
        _snake(given["name"]): _type(given["type"])
        for given in resource["properties"]
        if given.get("immutable")
        and given["name"] not in settable
        and not given.get("static")
        and f"{given['name'].removesuffix('Input')}" not in names - {given["name"]}
        and "primitive" in given["type"]
    }
    return ours


def _nested(described: dict[str, Any]) -> str | None:
    found = re.findall(r'"fqn": "(@cdktf/[^"]+)"', json.dumps(described))
    return found[0] if found else None


def _type(described: dict[str, Any]) -> str:
    text = json.dumps(described)
    (primitive,) = set(re.findall(r'"primitive": "(\w+)"', text)) or {"string"}
    primitive = {"boolean": "bool"}.get(primitive, primitive)
    kinds = re.findall(r'"kind": "(\w+)"', text)
    return f"{ {'array': 'list', 'map': 'map'}[kinds[0]] }({primitive})".replace(" ", "") if kinds else primitive


def _name(given: dict[str, Any]) -> str:
    documented = re.search(r"#(\w+) ", given["docs"].get("summary", ""))
    return documented.group(1) if documented else _snake(given["name"])


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


if __name__ == "__main__":
    lines = [
        f" {json.dumps(name)}: {json.dumps(described, sort_keys=True)}"
        for name, described in sorted(record([Path(name) for name in sys.argv[1:]]).items())
    ]
    RECORDED.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
