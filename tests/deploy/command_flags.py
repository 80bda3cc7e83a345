"""What the clients in our documents themselves say of their flags, for `test_documented_commands`.

Recorded from Google Cloud SDK 528.0.0 (`data/cli/gcloud_completions.py`, its own table of commands), Terraform
1.11.4 (`terraform COMMAND -help`), Docker 28.2.2 (`docker COMMAND --help`), and curl 7.88.1 (`curl --help all`).
Only commands that a document uses are here: whoever documents another adds it, from the same places.
"""

GCLOUD_EVERYWHERE = {"--account", "--format", "--project", "--quiet"}
GCLOUD = {
    "auth application-default login": {"--disable-quota-project", "--launch-browser", "--scopes"},
    "auth configure-docker": set[str](),
    "auth login": {"--brief", "--force", "--launch-browser", "--update-adc"},
    "compute instance-groups managed rolling-action restart": {"--max-unavailable", "--region", "--zone"},
    "compute instance-groups managed wait-until": {"--region", "--stable", "--timeout", "--zone"},
    "compute ssl-certificates describe": {"--global", "--region"},
    "compute instances list": {"--filter", "--limit", "--sort-by", "--zones"},
    "config set": {"--installation"},
    "dataflow flex-template build": {"--image", "--metadata-file", "--sdk-language", "--print-only"},
    "logging read": {"--freshness", "--limit", "--order"},
    "pubsub subscriptions pull": {"--auto-ack", "--filter", "--limit"},
    "secrets versions access": {"--location", "--out-file", "--secret"},
    "secrets versions add": {"--data-file", "--location"},
}
TERRAFORM_EVERYWHERE = {"-chdir"}
TERRAFORM = {
    "apply": {"-auto-approve", "-replace", "-target", "-var", "-var-file"},
    "destroy": {"-auto-approve", "-target", "-var", "-var-file"},
    "init": {"-backend-config", "-migrate-state", "-upgrade"},
    "output": {"-json", "-raw"},
}
DOCKER = {
    "build": {"--build-arg", "--file", "--platform", "--tag", "--target"},
    "image inspect": {"--format"},
    "push": {"--quiet"},
}
CURL = {"--fail", "--silent", "--show-error"}
