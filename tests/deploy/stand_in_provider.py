"""Terraform's google providers as far as a plan needs them: their recorded schema, and no cloud behind it.

Lets `terraform validate` and `terraform plan` run for real where the providers cannot be installed. What
only Google can say of a resource is made up, but recognizable: its id is its type and name. Needs the
package `tf`, whose generated code speaks Terraform's plugin protocol 6; `make terraform` brings it.
"""

# ruff: noqa: N802 - methods are called as the protocol calls them
import json
import os
import tempfile
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from tf.gen import tfplugin_pb2 as pb
from tf.gen import tfplugin_pb2_grpc
from tf.utils import read_dynamic_value, to_dynamic_value

RECORDED = Path(__file__).with_name("google_schema.json")
_SCHEMA: dict[str, Any] = json.loads(RECORDED.read_text("utf-8"))
_PROVIDERS = ("google", "google-beta")


@contextmanager
def running() -> Iterator[dict[str, str]]:
    """Serve both providers; yields the variables by which Terraform finds them."""
    with tempfile.TemporaryDirectory() as folder:
        servers, attached = [], {}
        for name in _PROVIDERS:
            server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
            tfplugin_pb2_grpc.add_ProviderServicer_to_server(_Provider(), server)
            address = f"{folder}/{name}.sock"
            server.add_insecure_port(f"unix://{address}")
            server.start()
            servers.append(server)
            attached[f"registry.terraform.io/hashicorp/{name}"] = {
                "Protocol": "grpc",
                "ProtocolVersion": 6,
                "Pid": os.getpid(),
                "Test": True,
                "Addr": {"Network": "unix", "String": address},
            }
        try:
            yield {"TF_REATTACH_PROVIDERS": json.dumps(attached)}
        finally:
            for server in servers:
                server.stop(grace=None)


class _Provider(tfplugin_pb2_grpc.ProviderServicer):
    def GetProviderSchema(self, request: Any, context: Any) -> Any:
        by_kind: dict[str, dict[str, Any]] = {"resource": {}, "data": {}}
        for name, described in _SCHEMA.items():
            kind, _, type_name = name.partition(".")
            by_kind[kind][type_name] = pb.Schema(version=0, block=_block(described))
        settings = {name: {"type": "string", "required": False} for name in ("project", "region")}
        return pb.GetProviderSchema.Response(
            provider=pb.Schema(version=0, block=_block({"arguments": settings, "blocks": {}})),
            resource_schemas=by_kind["resource"],
            data_source_schemas=by_kind["data"],
        )

    def ValidateProviderConfig(self, request: Any, context: Any) -> Any:
        return pb.ValidateProviderConfig.Response()

    def ConfigureProvider(self, request: Any, context: Any) -> Any:
        return pb.ConfigureProvider.Response()

    def ValidateResourceConfig(self, request: Any, context: Any) -> Any:
        return pb.ValidateResourceConfig.Response()

    def ValidateDataResourceConfig(self, request: Any, context: Any) -> Any:
        return pb.ValidateDataResourceConfig.Response()

    def PlanResourceChange(self, request: Any, context: Any) -> Any:
        state = read_dynamic_value(request.proposed_new_state)
        return pb.PlanResourceChange.Response(
            planned_state=to_dynamic_value(_filled("resource", request.type_name, state))
        )

    def ReadDataSource(self, request: Any, context: Any) -> Any:
        state = read_dynamic_value(request.config)
        return pb.ReadDataSource.Response(state=to_dynamic_value(_filled("data", request.type_name, state)))

    def StopProvider(self, request: Any, context: Any) -> Any:
        return pb.StopProvider.Response()


def _filled(kind: str, type_name: str, state: dict[str, Any]) -> dict[str, Any]:
    """Return a state with what the cloud would add to it."""
    names = (
        state.get(key) for key in ("name", "account_id", "secret_id", "dataset_id", "role_id", "repository_id")
    )
    name = next((name for name in names if isinstance(name, str)), "it")
    made_up: dict[str, Any] = {"id": f"{type_name}/{name}"}
    for export, declared in _SCHEMA[f"{kind}.{type_name}"].get("exports", {}).items():
        made_up[export] = 1 if declared == "number" else f"{type_name}/{name}/{export}"
    if type_name == "google_service_account":
        made_up["email"] = f"{name}@stand-in.iam.gserviceaccount.com"
        made_up["member"] = f"serviceAccount:{made_up['email']}"
    return state | made_up


def _block(described: dict[str, Any]) -> Any:
    attributes = [
        pb.Schema.Attribute(
            name=name,
            type=_cty(given["type"]),
            required=given["required"] and name != "id",
            optional=not given["required"] and name != "id",
            computed=name == "id",
        )
        for name, given in described["arguments"].items()
    ]
    attributes += [
        pb.Schema.Attribute(name=name, type=_cty(declared), computed=True)
        for name, declared in described.get("exports", {}).items()
        if name not in described["arguments"]
    ]
    blocks = [
        pb.Schema.NestedBlock(
            type_name=name,
            block=_block(nested),
            nesting=pb.Schema.NestedBlock.NestingMode.LIST,
            min_items=int(nested["required"]),
        )
        for name, nested in described["blocks"].items()
    ]
    return pb.Schema.Block(version=0, attributes=attributes, block_types=blocks)


def _cty(declared: str) -> bytes:
    """Return a type as the plugin protocol writes it: list(string) is ["list", "string"]."""
    outer, _, inner = declared.rstrip(")").partition("(")
    return json.dumps([outer, inner] if inner else outer).encode()
