"""What Terraform would make fits the code and the documents. The plan is recorded by `make terraform`."""

import datetime as dt
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
import terraform_plan
from apache_beam.options.pipeline_options import PipelineOptions, WorkerOptions
from google.api_core.exceptions import Forbidden
from google.cloud import bigquery
from prometheus_client import CollectorRegistry

from pipelines import sources
from pipelines.bigquery import deploy, suppressed
from pipelines.bigquery.secret import checked
from pipelines.bigquery.target import Target
from pipelines.deploy import template
from pipelines.erase import copies, warehouse
from pipelines.io.options import STREAMING
from pipelines.replies.channels import Channels
from pipelines.replies.provider import CALL_SECONDS
from pipelines.replies.send_command import SUBSCRIPTION_PREFIX, TOPICS, SenderSettings
from pipelines.reprocess import diff, previewing
from pipelines.reprocess.runs import Staging
from pipelines.reprocess.sql import Extent
from pipelines.reprocess.steps import Steps
from pipelines.run import stream
from receiver import metrics
from receiver.answers import answers
from receiver.answers.conversations import Conversations, conversation_key, open_conversations
from receiver.app import create_app
from receiver.config import ARCHIVE_KEY, ARCHIVE_KEYS, Config, archive_key_problems
from receiver.operate.health import MAX_SPOOL_AGE_SECONDS, MAX_UPLOAD_AGE_SECONDS
from receiver.replies.archive_keys import keyring_of
from receiver.replies.keys import Keys
from receiver.replies.store import BucketStore, open_store
from schemas import archive_layout

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PROJECT = "parley-example"
# Google's own, https://cloud.google.com/monitoring/api/metrics_gcp, with the resource that they are measured of.
CLOUD_METRICS = {
    "dataflow.googleapis.com/job/is_failed": "dataflow_job",
    "monitoring.googleapis.com/uptime_check/check_passed": "uptime_url",
    "monitoring.googleapis.com/uptime_check/time_until_ssl_cert_expires": "uptime_url",
    "pubsub.googleapis.com/subscription/num_undelivered_messages": "pubsub_subscription",
    "pubsub.googleapis.com/subscription/oldest_unacked_message_age": "pubsub_subscription",
}
RECORDED = json.loads(terraform_plan.PLAN.read_text("utf-8"))
VARIABLES = json.loads(terraform_plan.VARIABLES.read_text("utf-8"))


def resources(kind: str) -> dict[str, dict[str, Any]]:
    """Return the planned resources of a type by name and key, such as raw["facebook"]."""
    prefix = f"google_{kind}."
    return {
        address.removeprefix(prefix): values
        for address, values in RECORDED["resources"].items()
        if address.startswith(prefix)
    }


def machine_files(machine: str = 'receiver["a"]') -> dict[str, str]:
    """Return the files that a machine is started with, by path."""
    user_data = resources("compute_instance_template")[machine]["metadata"]["user-data"]
    parts = re.findall(
        r"  - path: (\S+)\n    permissions: \"\d+\"\n    content: \|\n((?:      .*\n|\n)*)", user_data
    )
    return {path: re.sub(r"^      ", "", content, flags=re.MULTILINE) for path, content in parts}


def environment() -> dict[str, str]:
    lines = machine_files()["/etc/parley/receiver.env"].splitlines()
    return dict(line.split("=", 1) for line in lines if line)


def test_the_plan_is_of_these_files():
    assert RECORDED["fingerprint"] == terraform_plan.fingerprint(), "deploy/terraform has changed: make terraform"


# Pub/Sub


def test_every_source_has_its_topic_and_the_subscription_that_the_pipeline_reads(monkeypatch):
    monkeypatch.delenv("PARLEY_SOURCES_FILE", raising=False)
    named = set(sources.PARSERS) | set(VARIABLES["custom_sources"])
    topics = {values["name"]: key for key, values in resources("pubsub_topic").items()}
    prefix = Config(project="p", archive="none", data_dir=Path()).topic_prefix
    assert {f"{prefix}{name}" for name in named} == topics.keys() - {"parley-dead-letters"}

    read = {name.rpartition("/")[2] for name in stream.default_subscriptions(PROJECT)}
    read |= {"parley-shop", "parley-bot"}
    subscriptions = resources("pubsub_subscription")
    assert read == {values["name"] for key, values in subscriptions.items() if key.startswith("pipeline[")}
    for name in named:
        assert subscriptions[f'pipeline["{name}"]']["topic"].endswith(f"/{prefix}{name}")


def test_the_sender_has_a_subscription_of_each_topic_that_it_reads():
    made = {
        values["name"]: values["topic"].rpartition("/")[2]
        for key, values in resources("pubsub_subscription").items()
        if key.startswith("sender[")
    }
    assert made == {f"{SUBSCRIPTION_PREFIX}{name}": f"raw-{name}" for name in TOPICS}


def test_the_sender_lists_and_removes_only_what_is_known_of_replies():
    members = resources("storage_bucket_iam_member")
    lists = members['sender_lists["sender"]']["condition"][0]["expression"]
    removes = members['sender_removes["sender"]']["condition"][0]["expression"]
    kept = open_store("gs://archive/raw/replies")._prefix
    assert lists.endswith(f'.startsWith("{kept}")')
    assert removes.endswith(f'/objects/{kept}")')
    # The archive of replies, source=replies, lies elsewhere.
    assert kept == "raw/replies/"


def test_no_subscription_expires_or_gives_up_early():
    for key, subscription in resources("pubsub_subscription").items():
        assert subscription["expiration_policy"] == [{"ttl": ""}]
        assert subscription["message_retention_duration"] == "604800s"
        if key != "dead_letters":
            (policy,) = subscription["dead_letter_policy"]
            assert policy["max_delivery_attempts"] == 100
            assert policy["dead_letter_topic"].endswith("/parley-dead-letters")


# The receivers


def test_what_a_machine_sets_configures_a_receiver_of_its_sources(tmp_path):
    environ = environment()
    script = machine_files()["/etc/systemd/system/parley-receiver.service"]
    fetched = re.search(r"fetch-secrets.sh \S+ (\S+) (.+)", script)
    assert fetched is not None
    for name in fetched.group(2).split():
        assert environ[f"{name}_FILE"] == f"{fetched.group(1)}/{name}"
        (tmp_path / name).write_text("whsec_" + "QUJD" * 12)
        environ[f"{name}_FILE"] = str(tmp_path / name)
    (tmp_path / "sources.toml").write_text(machine_files()["/etc/parley/sources.toml"])
    environ |= {"PARLEY_SOURCES_FILE": str(tmp_path / "sources.toml"), "PARLEY_DATA_DIR": str(tmp_path / "data")}

    assert {"facebook", "twilio", "custom"} <= create_app(environ).blueprints.keys()
    config = Config.from_environ(environ)
    assert config.archive == f"gs://{PROJECT}-parley-archive/raw"
    assert config.archive_keys == f"gs://{PROJECT}-parley-keys"
    assert keyring_of(config) is not None


def test_every_variable_that_a_machine_sets_is_documented():
    page = (DOCS / "configuration.md").read_text("utf-8")
    known = set(re.findall(r"PARLEY_[A-Z_]+[A-Z]", page)) | {"PARLEY_SOURCE_SHOP_SECRETS"}

    assert {name if name in known else name.removesuffix("_FILE") for name in environment()} - known == set()


def test_no_secret_passes_terraform():
    assert resources("secret_manager_secret_version") == {}
    secret = {values["secret_id"] for values in resources("secret_manager_secret").values()}
    ours = {"PARLEY_METRICS_TOKENS", "PARLEY_SEND_CHANNELS", "PARLEY_ERASURE_KEY", ARCHIVE_KEY}
    assert secret == {*VARIABLES["receiver_secrets"], *ours}
    assert secret & environment().keys() == set()


def test_the_disk_outlives_the_machine_and_holds_what_was_promised():
    unit = machine_files()["/etc/systemd/system/parley-receiver.service"]
    mounted = re.search(r"prepare.sh /dev/disk/by-id/google-(\S+) (\S+)", unit)
    assert mounted is not None
    assert f"--volume {mounted.group(2)}:{environment()['PARLEY_DATA_DIR']} " in unit
    for template_ in resources("compute_instance_template").values():
        (disk,) = (disk for disk in template_["disk"] if disk.get("device_name") == mounted.group(1))
        assert disk["auto_delete"] is False
    for group in resources("compute_instance_group_manager").values():
        assert group["stateful_disk"] == [{"device_name": mounted.group(1), "delete_rule": "NEVER"}]
        assert group["target_size"] == 1
        (policy,) = group["update_policy"]
        assert (policy["replacement_method"], policy["max_surge_fixed"]) == ("RECREATE", 0)


def test_a_receiver_may_finish_before_it_is_killed():
    config = Config(project="p", archive="none", data_dir=Path())
    unit = machine_files()["/etc/systemd/system/parley-receiver.service"]
    stop, unit_stop = (int(re.search(pattern, unit)[1]) for pattern in (r"stop -t (\d+)", r"TimeoutStopSec=(\d+)"))  # type: ignore[index]

    assert config.shutdown_seconds < stop < unit_stop
    (backend,) = resources("compute_backend_service").values()
    assert backend["timeout_sec"] > config.commit_seconds
    # The load balancer keeps idle connections for 600 seconds.
    assert config.keep_alive_seconds > 600


def test_the_load_balancer_asks_what_the_receiver_answers(tmp_path):
    environ = {"PARLEY_PROJECT": PROJECT, "PARLEY_ARCHIVE": "none", "PARLEY_DATA_DIR": str(tmp_path)}
    (check,) = resources("compute_health_check").values()
    (http,) = check["http_health_check"]

    assert create_app(environ).test_client().get(http["request_path"]).status_code == 200
    ports = {str(http["port"]), *resources("compute_firewall")["receivers"]["allow"][0]["ports"]}
    ports |= {
        str(group["named_port"][0]["port"])
        for key, group in resources("compute_instance_group_manager").items()
        if key.startswith("receiver[")
    }
    assert ports == {str(Config(project="p", archive="none", data_dir=Path()).port)}


def test_the_load_balancer_does_not_cut_streams_of_answers_off():
    """A stream that breaks makes the widget pause, up to half a minute; one that ends does not."""
    (url_map,) = resources("compute_url_map").values()
    (matcher,) = url_map["path_matcher"]
    (rule,) = matcher["path_rule"]
    (action,) = rule["route_action"]

    assert rule["paths"] == ["/chatplugin.events"]
    routes = (ROOT / "receiver/answers/routes.py").read_text("utf-8")
    assert f'"{rule["paths"][0]}"' in routes
    assert int(action["timeout"][0]["seconds"]) > answers.LIFE_SECONDS
    (backend,) = resources("compute_backend_service").values()
    assert backend["timeout_sec"] < answers.LIFE_SECONDS


def test_no_machine_has_a_public_address():
    for template_ in resources("compute_instance_template").values():
        assert all("access_config" not in interface for interface in template_["network_interface"])


def test_who_calls_others_has_a_way_out_and_nobody_else_has():
    """Providers' APIs, and keys of custom sources, are where Private Google Access does not lead."""
    nat = resources("compute_router_nat")['out["out"]']
    router = resources("compute_router")['out["out"]']
    (served,) = nat["subnetwork"]
    place = {
        key: values["network_interface"][0]["subnetwork"]
        for key, values in resources("compute_instance_template").items()
    }

    assert (nat["router"], nat["nat_ip_allocate_option"]) == (router["name"], "AUTO_ONLY")
    assert place.keys() == {f'{kind}["{name}"]' for kind in ("receiver", "sender") for name in "ab"}
    # The receivers' sources file has a keys_url.
    assert "keys_url" in machine_files()["/etc/parley/sources.toml"]
    assert set(place.values()) == {served["name"]}
    (job,) = resources("dataflow_flex_template_job").values()
    assert job["subnetwork"].rpartition("/")[2] != served["name"].rpartition("/")[2]
    assert not any("router" in address or "parley-out" in address for address in RECORDED["first_step"])


# The senders


def test_what_a_machine_sets_configures_a_sender(tmp_path):
    files = machine_files('sender["b"]')
    environ = dict(line.split("=", 1) for line in files["/etc/parley/sender.env"].splitlines() if line)
    unit = files["/etc/systemd/system/parley-sender.service"]
    mounted = re.search(r"prepare.sh /dev/disk/by-id/google-parley (\S+)\n", unit)
    fetched = re.search(r"ExecStartPre.*fetch-secrets.sh \S+ (\S+) (.+)\n", unit)
    assert mounted is not None
    assert fetched is not None
    assert f"--volume {mounted[1]}:{environ['PARLEY_DATA_DIR']} " in unit
    assert f"--volume {fetched[1]}:/run/parley:ro" in unit
    values = {"PARLEY_SEND_CHANNELS": '{"whatsapp/1003": {"token": "t"}}', ARCHIVE_KEY: "k" * 32}
    assert sorted(values) == sorted(fetched[2].split())
    for name, value in values.items():
        assert environ[f"{name}_FILE"] == f"{fetched[1]}/{name}"
        (tmp_path / name).write_text(value)
        environ[f"{name}_FILE"] = str(tmp_path / name)

    settings = SenderSettings(environ)
    assert Channels(environ).get("whatsapp", "1003") is not None
    assert settings.rules.share == 1 / len(VARIABLES["senders"])
    assert settings.rules.doubt == 300
    assert settings.config.archive == environment()["PARLEY_ARCHIVE"]
    assert settings.config.archive_keys == environment()[ARCHIVE_KEYS]
    assert settings.config.archive_key == (values[ARCHIVE_KEY],)
    known = (DOCS / "sending.md").read_text("utf-8") + (DOCS / "configuration.md").read_text("utf-8")
    assert [name for name in environ if name not in known and name.removesuffix("_FILE") not in known] == []


def test_a_sender_may_finish_before_it_is_killed():
    unit = machine_files('sender["a"]')["/etc/systemd/system/parley-sender.service"]
    stop, unit_stop = (int(re.search(pattern, unit)[1]) for pattern in (r"stop -t (\d+)", r"TimeoutStopSec=(\d+)"))  # type: ignore[index]

    assert CALL_SECONDS < stop < unit_stop


# Buckets and datasets


def test_nothing_deletes_the_archive_and_nobody_outside_reads_it():
    buckets = resources("storage_bucket")
    actions = [rule["action"][0]["type"] for rule in buckets["archive"]["lifecycle_rule"]]
    assert set(actions) == {"SetStorageClass"}
    assert buckets["archive"]["soft_delete_policy"][0]["retention_duration_seconds"] == 30 * 86_400
    for bucket in buckets.values():
        assert (bucket["public_access_prevention"], bucket["uniform_bucket_level_access"]) == ("enforced", True)


def test_the_bucket_of_data_keys_keeps_nothing_of_what_is_removed():
    bucket = resources("storage_bucket")['archive_keys["archive"]']

    assert bucket["soft_delete_policy"] == [{"retention_duration_seconds": 0}]
    assert bucket["versioning"] == [{"enabled": False}]
    # Nothing but an erasure destroys a key, and nothing may forbid it that.
    assert bucket.keys().isdisjoint({"lifecycle_rule", "retention_policy", "default_event_based_hold"})
    assert archive_key_problems(("k" * 32,), f"gs://{bucket['name']}", environment()["PARLEY_ARCHIVE"]) == []


def test_nothing_is_made_for_a_sealed_archive_unless_it_is_asked_for():
    made = {address for address in RECORDED["resources"] if re.search(r"keys|archive_key", address)}

    assert {"google_storage_bucket.archive_keys", "google_secret_manager_secret.archive_key"} <= {
        address.partition("[")[0] for address in made
    }
    assert made.isdisjoint(RECORDED["first_step"])
    assert "google_storage_bucket.archive" in RECORDED["first_step"]


def test_only_erasers_destroy_data_keys_and_workers_of_the_live_pipeline_open_none():
    on_keys = {(who, role) for who, role, on in granted() if on == "keys"}
    own = {
        f"parley{name.title()}": values["permissions"]
        for name, values in resources("project_iam_custom_role").items()
    }
    kept = {"roles/storage.objectViewer": ["get", "list"], "roles/storage.legacyBucketReader": ["list"]}
    may_delete = {who for who, role in on_keys if "storage.objects.delete" in own.get(role, kept.get(role, ""))}

    assert may_delete == {"erasers"}
    assert {role for _, role in on_keys} <= own.keys() | kept.keys()
    secret = {who for who, role, on in granted() if on == f"`{ARCHIVE_KEY}`"}
    assert secret == {"receiver", "sender", "batch", "operators", "erasers"} == {who for who, _ in on_keys}


def test_only_rows_in_passing_are_deleted_from_the_bucket_of_jobs():
    (rule,) = resources("storage_bucket")["jobs"]["lifecycle_rule"]

    # Where pipelines.io.options puts them: rows in --temp_location.
    temp_location = f"gs://{PROJECT}-parley-jobs/dataflow"
    assert rule["condition"][0]["matches_prefix"] == [f"{temp_location.split('/', 3)[3]}/rows/"]
    (job,) = resources("dataflow_flex_template_job").values()
    assert job["staging_location"] == f"{temp_location}/staging"


def test_what_jobs_leave_is_gone_as_soon_as_copies_in_bigquery_are():
    """Time travel and fail-safe are counted by `parley erase verify`, which does not know of this bucket."""
    bucket = resources("storage_bucket")["jobs"]
    (rule,) = bucket["lifecycle_rule"]
    kept = bucket["soft_delete_policy"][0]["retention_duration_seconds"] / 86_400 + rule["condition"][0]["age"]

    assert kept <= copies.TIME_TRAVEL_HOURS / 24 + copies.FAIL_SAFE_DAYS


def test_the_age_of_events_removes_events_alone():
    """Not the keys of replies and legal holds, which lie in the same bucket."""
    text = (terraform_plan.TERRAFORM / "storage.tf").read_text("utf-8")
    by_age = re.search(r"var.archive_delete_after_days\]\n(.*?)\n  }\n", text, re.DOTALL)
    assert by_age is not None
    (prefix,) = re.findall(r'matches_prefix = \["(\S+)"\]', by_age[1])
    root = environment()["PARLEY_ARCHIVE"].split("/", 3)[3]

    assert f"{root}/{archive_layout.folder('facebook', dt.datetime.now(dt.UTC))}".startswith(prefix)
    assert not f"{root}/{archive_layout.REPLIES}/".startswith(prefix)


def test_datasets_are_those_that_tables_are_deployed_to():
    target = Target.prefixed(PROJECT)
    datasets = resources("bigquery_dataset")

    assert datasets["rows"]["dataset_id"] == target.rows_dataset
    assert datasets["views"]["dataset_id"] == target.views_dataset
    # Else `parley tables deploy` and Terraform would undo each other.
    assert {key: values["description"] for key, values in datasets.items()} == deploy._DATASETS


# The job


def test_the_job_has_only_parameters_that_its_template_has():
    (job,) = resources("dataflow_flex_template_job").values()
    parameters = {parameter["name"]: parameter for parameter in template.metadata(STREAMING)["parameters"]}

    assert job["parameters"].keys() <= parameters.keys()
    required = {name for name, parameter in parameters.items() if not parameter["isOptional"]}
    assert required <= job["parameters"].keys()
    read = job["parameters"]["subscription"].split(",")
    assert len(read) == len(sources.PARSERS) + len(VARIABLES["custom_sources"])


def test_what_the_provider_cannot_read_back_replaces_no_job():
    """It looks for `numWorkers` and `maxNumWorkers`, called otherwise in Python: always a change."""
    (job,) = resources("dataflow_flex_template_job").values()

    assert not job.keys() & {"num_workers", "max_workers"}
    options = PipelineOptions([f"--{name}={value}" for name, value in job["parameters"].items()])
    assert options.view_as(WorkerOptions).max_num_workers == 10


def test_the_job_names_the_key_of_erasures_and_does_not_hold_it():
    (job,) = resources("dataflow_flex_template_job").values()
    secret = resources("secret_manager_secret")["erasure_key"]["secret_id"]
    named = job["parameters"]["erasure_key_secret"]
    name = re.sub(r"^google_secret_manager_secret/", f"projects/{PROJECT}/secrets/", named)

    assert checked(name) == f"projects/{PROJECT}/secrets/{suppressed.KEY}/versions/latest"
    assert secret == suppressed.KEY
    readers = {
        values["member"].rpartition(":")[2].partition("@")[0]
        for values in resources("secret_manager_secret_iam_member").values()
        if values["secret_id"].endswith(suppressed.KEY)
    }
    assert readers == {"operators", "privacy", "parley-streaming", "parley-batch"}


# Alerts


def documented_alerts() -> dict[str, tuple[str, str]]:
    """Return expression and runbook of each alert of docs/operations.md."""
    rows = re.findall(
        r"^\| ([a-z ]+) \| (.+) \| \[.*\]\((#.*)\) \|$", (DOCS / "operations.md").read_text("utf-8"), re.M
    )
    return {name: (expression, f"docs/operations.md{anchor}") for name, expression, anchor in rows}


def policies() -> dict[str, tuple[dict[str, Any], str]]:
    """Return the condition and the runbook of each planned alert."""
    found = {}
    for policy in resources("monitoring_alert_policy").values():
        (condition,) = policy["conditions"]
        runbook = re.match(r"What to do: (\S+) in", policy["documentation"][0]["content"])
        assert runbook is not None
        found[condition["display_name"]] = (condition, runbook[1])
        assert policy["notification_channels"] != []
    return found


def test_each_alert_of_the_runbooks_is_made_as_it_is_there():
    made = policies()
    for name, (expression, runbook) in documented_alerts().items():
        condition, leads_to = made[name]
        assert leads_to == runbook
        if expression.startswith("log: "):
            assert expression.removeprefix("log: ").strip("`") in condition["condition_matched_log"][0]["filter"]
        else:
            query = condition["condition_prometheus_query_language"][0]["query"]
            assert f"`{query}`" == expression.replace("\\|", "|")


def test_each_alert_leads_to_a_section():
    for _, runbook in policies().values():
        page, anchor = runbook.split("#")
        headings = re.findall(r"^#+ (.*)$", (ROOT / page).read_text("utf-8"), re.MULTILINE)
        assert anchor in {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_each_alert_on_logs_looks_for_what_is_logged():
    folders = (ROOT / name for name in ("receiver", "pipelines"))
    code = "".join(path.read_text("utf-8") for folder in folders for path in folder.rglob("*.py"))
    found = [each for condition, _ in policies().values() for each in condition.get("condition_matched_log", [])]
    for condition in found:
        for text in re.findall(r'AND "([^"]+)"', condition["filter"]):
            assert text in code
    assert len(found) == 5


def test_each_alert_is_about_a_metric_that_exists():
    registry = CollectorRegistry()
    for metric in (metrics.REQUESTS, metrics.REJECTED, metrics.COMMIT_SECONDS, metrics.GROUP_EVENTS):
        registry.register(metric)
    ends = ("", "_total", "_bucket", "_count")
    exported = {f"{name}{end}" for name in registry._names_to_collectors for end in ends}
    # Gauges are made when they are asked for.
    exported |= set(
        re.findall(r'"(parley_receiver_\w+)"', (ROOT / "receiver/operate/health.py").read_text("utf-8"))
    )
    for condition, _ in policies().values():
        for query in condition.get("condition_prometheus_query_language", []):
            assert set(re.findall(r"parley_receiver_\w+", query["query"])) <= exported
        for threshold in condition.get("condition_threshold", []):
            named = re.match(r'metric.type = "(\S+)" AND resource.type = "(\w+)"', threshold["filter"])
            assert named is not None
            assert CLOUD_METRICS[named[1]] == named[2]


def test_whoever_has_a_wrong_secret_is_told_as_shut_out(tmp_path, monkeypatch):
    """However few webhooks a source has: by the names with which its rejections and its commits are counted."""
    query = policies()["source shut out"][0]["condition_prometheus_query_language"][0]["query"]
    reason, passed = re.findall(r'reason=~"(.+)",source!="(.+?)"', query)[0]
    app = create_app(
        {
            "PARLEY_PROJECT": PROJECT,
            "PARLEY_ARCHIVE": "none",
            "PARLEY_DATA_DIR": str(tmp_path),
            "PARLEY_PUBLIC_URL": "https://hooks.example.org",
            "PARLEY_AIRY_SIGNATURE_KEYS": "x",
            "PARLEY_FACEBOOK_APP_SECRETS": "x",
            "PARLEY_GOOGLE_KEYS": "x",
            "PARLEY_SOURCES_FILE": str(terraform_plan.SOURCES),
            "PARLEY_SOURCE_SHOP_SECRETS": "x",
            "PARLEY_TWILIO_AUTH_TOKENS": "x",
            "PARLEY_WHATSAPP_APP_SECRETS": "x",
        }
    )
    counted: list[tuple[str, str]] = []
    labels = metrics.REJECTED.labels
    monkeypatch.setattr(metrics.REJECTED, "labels", lambda *names: (counted.append(names), labels(*names))[1])

    signed = {"airy", "facebook", "google", "shop", "twilio", "whatsapp"}
    for source in signed:
        path = f"/sources/{source}" if source == "shop" else f"/{source}"
        assert app.test_client().post(path, data=b"{}").status_code == 403
    app.test_client().get("/facebook")

    assert {source for source, why in counted if re.fullmatch(reason, why)} == signed
    assert ("facebook", "wrong verify token") in counted
    assert passed not in signed


def test_that_a_job_has_failed_is_told_at_once():
    """A job that has ended reports no more, so that nothing may have to last."""
    lasts = {
        name: condition["condition_threshold"][0]["duration"]
        for name, (condition, _) in policies().items()
        if "condition_threshold" in condition
    }

    assert lasts["job failed"] == "0s"
    assert {lasts[name] for name in lasts if name != "job failed"} == {"300s"}


def test_somebody_asks_for_the_receiver_by_the_name_that_sources_know(tmp_path):
    """A wrong record or an old certificate leaves receivers healthy, and their metrics those of a quiet night."""
    (check,) = resources("monitoring_uptime_check_config").values()
    (request,) = check["http_check"]
    (asked,) = check["monitored_resource"]
    assert asked["labels"]["host"] == VARIABLES["domain"]
    assert (request["port"], request["use_ssl"], request["validate_ssl"]) == (443, True, True)
    environ = {"PARLEY_PROJECT": PROJECT, "PARLEY_ARCHIVE": "none", "PARLEY_DATA_DIR": str(tmp_path)}
    assert create_app(environ).test_client().get(request["path"]).status_code == 200

    reducers = {
        name: (each["comparison"], each["aggregations"][0]["cross_series_reducer"])
        for name, (condition, _) in policies().items()
        for each in condition.get("condition_threshold", [])
        if "uptime_check" in each["filter"]
    }
    assert reducers == {
        "receiver unreachable": ("COMPARISON_GT", "REDUCE_COUNT_FALSE"),
        "certificate ends": ("COMPARISON_LT", "REDUCE_MEAN"),
    }


def test_alerts_and_health_agree_on_what_is_late():
    queries = {
        name: condition["condition_prometheus_query_language"][0]["query"]
        for name, (condition, _) in policies().items()
        if "condition_prometheus_query_language" in condition
    }
    assert queries["spool grows"].endswith(f"> {MAX_SPOOL_AGE_SECONDS:g}")
    assert queries["uploads late"].endswith(f"> {MAX_UPLOAD_AGE_SECONDS:g}")
    assert queries["receiver gone"].endswith(f"< {len(VARIABLES['receivers'])}")


# Who may do what

MEMBERS = {
    f"serviceAccount:parley-{name}@stand-in.iam.gserviceaccount.com": name
    for name in ("receiver", "streaming", "batch", "sender")
} | {
    "group:operators@example.org": "operators",
    "group:privacy@example.org": "erasers",
    "group:analysts@example.org": "analysts",
    "google_project_service_identity/it/member": "Pub/Sub",
}


def granted() -> set[tuple[str, str, str]]:
    """Return who has which role on what, as the plan grants it."""
    grants = set()
    for address, values in RECORDED["resources"].items():
        kind, _, name = address.partition(".")
        if kind.endswith("_iam_member"):
            who = MEMBERS[values["member"]]
            grants.add((who, values["role"].rpartition("_custom_role/")[2], thing(kind, name, values)))
    for key, dataset in resources("bigquery_dataset").items():
        for access in dataset["access"]:
            if "role" in access:
                grants.add((holder(access), access["role"].rpartition("/")[2], key))
    return grants


def thing(kind: str, name: str, values: dict[str, Any]) -> str:
    """Say what a grant is on, in the words of the table."""
    if kind == "google_pubsub_topic_iam_member":
        if name.startswith("sender_"):
            return "`raw-replies`"
        return "`parley-dead-letters`" if values["topic"].endswith("dead-letters") else "each `raw-` topic"
    if kind == "google_storage_bucket_iam_member":
        return str(values["bucket"].rpartition("-")[2])
    if "condition" in values:
        return str(values["condition"][0]["title"])
    if kind == "google_service_account_iam_member":
        return "streaming" if "streaming" in name else "batch"
    if kind == "google_pubsub_subscription_iam_member" and "sender" in name:
        return "each `parley-sender-` subscription"
    return {
        "google_project_iam_member": "project",
        "google_pubsub_subscription_iam_member": "each `parley-` subscription",
        "google_secret_manager_secret_iam_member": f"`PARLEY_{named[0].upper()}`"
        if (named := re.match("(erasure|archive)_key", name))
        else "each of its secrets",
        "google_artifact_registry_repository_iam_member": "images",
    }[kind]


def holder(access: dict[str, Any]) -> str:
    if access.get("special_group") == "projectOwners":
        return "owners of the project"
    if "group_by_email" in access:
        return str(MEMBERS[f"group:{access['group_by_email']}"])
    return str(MEMBERS[f"serviceAccount:{access['user_by_email']}"])


def test_every_grant_is_in_the_table_and_nothing_else_is():
    section = (DOCS / "deploy.md").read_text("utf-8").split("## Who may do what")[1].split("\n## ")[0]
    rows = re.findall(r"^\| ([\w/ -]+) \| `([\w./]+)`[^|]* \| ([^|]+) \|", section, re.MULTILINE)
    table = {(who, role, on) for who, role, things in rows for on in things.split(", ")}

    assert granted() == table


def test_operators_and_erasers_reach_the_datasets_of_any_run_and_no_other_by_name():
    """Who makes a dataset owns it: what a colleague has begun is for all of the group."""
    grants = [values for values in resources("project_iam_member").values() if "condition" in values]
    condition, *others = {
        grant["condition"][0]["expression"] for grant in grants if grant["role"] == "roles/bigquery.dataOwner"
    }
    assert others == []
    begins = re.findall(r'resource.name.startsWith\("projects/(\S+)/datasets/(\S+)"\)(?: \|\| |$)', condition)
    assert len(begins) == condition.count("startsWith")
    names = tuple(f"{project}.{dataset}" for project, dataset in begins)
    target = Target.prefixed(PROJECT)
    run_id = "01234567-89ab-7def-8123-456789abcdef"
    shown = previewing.target(target, run_id)

    made = [shown.rows_dataset, shown.views_dataset, warehouse.place_of_lists(target, run_id)]
    for name in (Staging.of(target, run_id).dataset, *(f"{PROJECT}.{name}" for name in made)):
        assert name.startswith(names)
    for name in (target.rows_dataset, target.views_dataset):
        assert not f"{PROJECT}.{name}".startswith(names)


def test_a_batch_job_may_read_whatever_it_compares_its_run_with():
    """BigQuery asks for the right to read a view of who queries it, and of whoever made it for the tables below.

    https://cloud.google.com/bigquery/docs/authorized-datasets
    """
    target, client = Target.prefixed(PROJECT), Mock(spec=bigquery.Client)
    run_id, day = "01234567-89ab-7def-8123-456789abcdef", dt.date(2026, 3, 1)
    client.query_and_wait.return_value = iter([])

    diff.compare(client, target, Staging.of(target, run_id), Extent(day, day, day, day), Steps())

    asked = "".join(call.args[0] for call in client.query.call_args_list)
    names = {target.rows_dataset: "rows", target.views_dataset: "views"}
    read = {names[name] for name in re.findall(rf"`{PROJECT}\.(\w+)\.", asked) if name in names}
    assert read == {"rows", "views"}
    assert read <= {on for who, role, on in granted() if who == "batch" and role in {"READER", "WRITER"}}


@pytest.mark.parametrize(
    ("role", "permissions"),
    [
        ("archiver", {"storage.objects.create", "storage.objects.get"}),
        ("lister", {"storage.objects.list"}),
        ("remover", {"storage.objects.delete"}),
        ("eraser", {f"storage.objects.{what}" for what in ("create", "delete", "get", "list")}),
        ("appender", {"bigquery.tables.get", "bigquery.tables.updateData"}),
    ],
)
def test_roles_of_our_own_permit_what_is_needed_and_no_more(role, permissions):
    assert set(resources("project_iam_custom_role")[role]["permissions"]) == permissions


def test_workers_read_what_is_suppressed_and_no_other_table():
    grant = resources("project_iam_member")["streaming_reads_suppressions"]
    table = Target.prefixed(PROJECT).table(suppressed.TABLE).split(".")
    name = f"projects/{PROJECT}/datasets/{'/tables/'.join(table[1:])}"

    assert grant["condition"][0]["expression"] == f'resource.name == "{name}"'


def test_the_receiver_lists_what_visitors_are_shown_and_keys_of_replies_and_nothing_else():
    condition = resources("storage_bucket_iam_member")["receiver_lists_answers"]["condition"][0]["expression"]
    prefixes = re.findall(r'objectListPrefix", ""\).startsWith\("(\S+)"\)(?: \|\| |$)', condition)
    assert len(prefixes) == condition.count("getAttribute") == 2
    chat, _ = prefixes

    asked: list[str] = []
    client = SimpleNamespace(list_blobs=lambda _, prefix, **__: asked.append(prefix) or [])
    chats = Conversations(BucketStore("gs://archive/raw/replies/chat", client))
    chats.read(conversation_key("shop", "3d9ac0d8"))
    chats.news.read()
    assert len(asked) == 2
    assert all(prefix.startswith(chat) for prefix in asked)
    assert open_conversations("gs://archive/raw")._store._prefix == chat


def test_a_new_reply_is_taken_by_who_may_list_only_what_the_receiver_may():
    """Cloud Storage says 403 of what is not there to who may not list it."""
    condition = resources("storage_bucket_iam_member")["receiver_lists_answers"]["condition"][0]["expression"]
    prefixes = tuple(re.findall(r'startsWith\("(\S+)"\)', condition))
    made: dict[str, bytes] = {}

    def blob(name):
        def read(**_):
            if name not in made:
                raise Forbidden(f"Permission denied on {name} (or it may not exist).")
            return made[name]

        def write(data, **_):
            made[name] = data

        return SimpleNamespace(download_as_bytes=read, upload_from_string=write)

    def list_blobs(_, prefix, **__):
        if not prefix.startswith(prefixes):
            raise Forbidden("storage.objects.list")
        return [SimpleNamespace(name=name) for name in sorted(made) if name.startswith(prefix)]

    client = SimpleNamespace(bucket=lambda _: SimpleNamespace(blob=blob), list_blobs=list_blobs)
    keys = Keys(BucketStore("gs://archive/raw/replies", client))
    keys.register("01234567-89ab-7def-8123-456789abcdef", b"{}", lambda: None)
    keys.register("01234567-89ab-7def-8123-456789abcdef", b"{}", lambda: pytest.fail("it was known"))

    assert len(made) == 1


def test_no_role_reaches_the_whole_project_that_could_be_narrower():
    grants = resources("project_iam_member").values()
    on_project = {values["role"] for values in grants if "condition" not in values}

    assert on_project <= {
        "roles/bigquery.jobUser",
        "roles/bigquery.user",
        "roles/dataflow.developer",
        "roles/logging.logWriter",
        "roles/monitoring.metricWriter",
    }


def test_workers_reach_no_object_by_the_role_that_makes_them_workers_but_those_of_jobs():
    """`roles/dataflow.worker` has storage.buckets.get, storage.objects.get and storage.objects.create."""
    buckets = {key: values["name"] for key, values in resources("storage_bucket").items()}
    on_project = resources("project_iam_member").values()
    grants = [grant for grant in on_project if grant["role"] == "roles/dataflow.worker"]
    assert len(grants) == 2
    for grant in grants:
        condition = grant["condition"][0]["expression"]
        others, named = condition.split(" || ")
        assert set(re.findall(r'resource.type != "storage.googleapis.com/(\w+)"', others)) == {"Bucket", "Object"}
        begins = re.fullmatch(r'resource.name.startsWith\("projects/_/buckets/(\S+)"\)', named)
        assert begins is not None
        assert {key for key, name in buckets.items() if name.startswith(begins[1])} == {"jobs"}


def test_who_submits_a_job_may_look_its_bucket_up():
    """Beam does before it stages anything, and objectAdmin lacks storage.buckets.get."""
    grants = resources("storage_bucket_iam_member").values()
    stage = {grant["member"] for grant in grants if grant["role"] == "roles/storage.objectAdmin"}
    operators = {f"group:{group}" for group in VARIABLES["operators"]}

    assert operators <= stage
    assert operators <= {g["member"] for g in grants if g["role"] == "roles/storage.legacyBucketReader"}


def test_alerts_can_be_made_before_their_metrics_have_a_series():
    for policy in resources("monitoring_alert_policy").values():
        for condition in policy["conditions"]:
            for query in condition.get("condition_prometheus_query_language", ()):
                assert query["disable_metric_validation"]


def test_the_job_asks_for_at_least_once():
    job = resources("dataflow_flex_template_job")["streaming[0]"]

    assert "streaming_mode_at_least_once" in job["additional_experiments"]
