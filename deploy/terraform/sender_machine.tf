# The senders: each one small virtual machine with one disk that outlives it, holding the spool of attempts and outcomes
# while Pub/Sub is away (docs/deploy.md, "The sender").

locals {
  sender_files = setunion(["PARLEY_SEND_CHANNELS"], keys(local.archive_secret))

  # Names and meanings: docs/sending.md.
  sender_environment = merge(
    {
      PARLEY_PROJECT    = var.project
      PARLEY_ARCHIVE    = "gs://${google_storage_bucket.archive.name}/raw"
      PARLEY_DATA_DIR   = "/var/lib/parley"
      PARLEY_PUBLIC_URL = "https://${var.domain}"
      PARLEY_SENDERS    = tostring(max(1, length(var.senders)))
    },
    local.archive_keys,
    var.sender_settings,
    { for name in local.sender_files : "${name}_FILE" => "/run/parley/${name}" },
  )
}

# The channels' tokens. The value is put there by hand and never passes Terraform.
resource "google_secret_manager_secret" "send_channels" {
  for_each = local.sender

  secret_id = "PARLEY_SEND_CHANNELS"

  replication {
    auto {}
  }

  depends_on = [google_project_service.used]
}

resource "google_secret_manager_secret_iam_member" "sender_reads_channels" {
  for_each = local.sender

  secret_id = google_secret_manager_secret.send_channels["sender"].id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.sender["sender"].member
}

resource "google_artifact_registry_repository_iam_member" "sender_pulls" {
  for_each = local.sender

  repository = google_artifact_registry_repository.images.name
  location   = var.region
  role       = "roles/artifactregistry.reader"
  member     = google_service_account.sender["sender"].member
}

resource "google_compute_instance_template" "sender" {
  for_each = var.senders

  name_prefix  = "parley-sender-${each.key}-"
  machine_type = "e2-small"
  region       = var.region

  disk {
    boot         = true
    source_image = "cos-cloud/cos-stable"
    disk_type    = "pd-balanced"
    disk_size_gb = 20
  }

  disk {
    boot         = false
    device_name  = "parley"
    disk_type    = "pd-balanced"
    disk_size_gb = 10
    auto_delete  = false
  }

  network_interface {
    subnetwork = google_compute_subnetwork.out["out"].id
  }

  service_account {
    email  = google_service_account.sender["sender"].email
    scopes = ["cloud-platform"]
  }

  shielded_instance_config {
    enable_secure_boot = true
  }

  metadata = {
    google-logging-enabled = "true"
    user-data = templatefile("${path.module}/sender/cloud-init.yaml.tftpl", {
      image         = each.value.image
      registry      = "${var.region}-docker.pkg.dev"
      environment   = join("\n", [for name, value in local.sender_environment : "${name}=${value}"])
      project       = var.project
      secrets       = join(" ", local.sender_files)
      prepare       = file("${path.module}/machine/prepare.sh")
      fetch_secrets = file("${path.module}/machine/fetch-secrets.sh")
    })
  }

  lifecycle {
    create_before_destroy = true
  }
}

# A sender serves nothing that could be asked for its health: systemd starts it again where it ends, and the age of what
# waits in its subscriptions raises the alarm (alerts.tf).
resource "google_compute_instance_group_manager" "sender" {
  for_each = var.senders

  name               = "parley-sender-${each.key}"
  base_instance_name = "parley-sender-${each.key}"
  zone               = each.value.zone
  target_size        = 1

  version {
    instance_template = google_compute_instance_template.sender[each.key].self_link_unique
  }

  # The disk stays when the machine goes, whyever it goes.
  stateful_disk {
    device_name = "parley"
    delete_rule = "NEVER"
  }

  update_policy {
    type                  = "PROACTIVE"
    minimal_action        = "REPLACE"
    replacement_method    = "RECREATE"
    max_surge_fixed       = 0
    max_unavailable_fixed = 1
  }

  depends_on = [
    google_artifact_registry_repository_iam_member.sender_pulls,
    google_compute_router_nat.out,
    google_project_iam_member.sender,
    google_pubsub_subscription_iam_member.sender_subscribes,
    google_pubsub_topic_iam_member.sender_publishes,
    google_secret_manager_secret_iam_member.archive_key_writer,
    google_secret_manager_secret_iam_member.sender_reads_channels,
    google_storage_bucket_iam_member.sender_archives,
    google_storage_bucket_iam_member.sender_lists,
    google_storage_bucket_iam_member.sender_removes,
    google_storage_bucket_iam_member.writer_adds_keys,
    google_storage_bucket_iam_member.writer_lists_keys,
  ]
}
