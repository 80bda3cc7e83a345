# The receivers: each one virtual machine with one disk that outlives it, holding the open segments of the
# archive and the spool. A 200 is a promise about that disk: hence Compute Engine, not Cloud Run, whose
# instances have none (docs/deploy.md, "Why not Cloud Run").

locals {
  secrets = setunion(var.receiver_secrets, ["PARLEY_METRICS_TOKENS"])
  # What a machine fetches: the key of a sealed archive is not the receivers' alone.
  receiver_files = setunion(local.secrets, keys(local.archive_secret))

  # Names and meanings: docs/configuration.md.
  receiver_environment = merge(
    {
      PARLEY_PROJECT    = var.project
      PARLEY_ARCHIVE    = "gs://${google_storage_bucket.archive.name}/raw"
      PARLEY_DATA_DIR   = "/var/lib/parley"
      PARLEY_PUBLIC_URL = "https://${var.domain}"
      # The load balancer adds the sender's address and its own: two places from the right.
      PARLEY_TRUSTED_PROXIES = "2"
    },
    var.sources_file == null ? {} : { PARLEY_SOURCES_FILE = "/etc/parley/sources.toml" },
    local.archive_keys,
    var.receiver_settings,
    { for name in local.receiver_files : "${name}_FILE" => "/run/parley/${name}" },
  )

  # Google's build of Prometheus, which writes to Cloud Monitoring; by digest, like all images.
  prometheus_image = "gke.gcr.io/prometheus-engine/prometheus:v3.13.0-gmp.1-gke.0@sha256:b8e81d2737a3ca7126b06cbd4bb495b4f9c694e9431e5a280d7d37f289ff2708"
}

resource "google_secret_manager_secret" "receiver" {
  for_each = local.secrets

  secret_id = each.value

  replication {
    auto {}
  }

  depends_on = [google_project_service.used]
}

resource "google_compute_health_check" "receiver" {
  name                = "parley-receiver"
  check_interval_sec  = 5
  timeout_sec         = 5
  healthy_threshold   = 2
  unhealthy_threshold = 3

  http_health_check {
    port         = 8080
    request_path = "/__lbheartbeat__"
  }

  depends_on = [google_project_service.used]
}

resource "google_compute_instance_template" "receiver" {
  for_each = var.receivers

  name_prefix  = "parley-receiver-${each.key}-"
  machine_type = var.receiver_machine_type
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
    disk_type    = "pd-ssd"
    disk_size_gb = var.receiver_disk_gib
    auto_delete  = false
  }

  network_interface {
    subnetwork = local.fetches_keys ? google_compute_subnetwork.out["out"].id : google_compute_subnetwork.parley.id
  }

  service_account {
    email  = google_service_account.receiver.email
    scopes = ["cloud-platform"]
  }

  shielded_instance_config {
    enable_secure_boot = true
  }

  metadata = {
    google-logging-enabled = "true"
    user-data = templatefile("${path.module}/receiver/cloud-init.yaml.tftpl", {
      image            = each.value.image
      registry         = "${var.region}-docker.pkg.dev"
      environment      = join("\n", [for name, value in local.receiver_environment : "${name}=${value}"])
      project          = var.project
      secrets          = join(" ", local.receiver_files)
      sources          = var.sources_file == null ? "" : file(var.sources_file)
      prepare          = file("${path.module}/machine/prepare.sh")
      fetch_secrets    = file("${path.module}/machine/fetch-secrets.sh")
      prometheus_image = local.prometheus_image
      prometheus = templatefile("${path.module}/receiver/prometheus.yaml.tftpl", {
        project  = var.project
        location = each.value.zone
        instance = each.key
      })
    })
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "google_compute_instance_group_manager" "receiver" {
  for_each = var.receivers

  name               = "parley-receiver-${each.key}"
  base_instance_name = "parley-receiver-${each.key}"
  zone               = each.value.zone
  target_size        = 1

  version {
    instance_template = google_compute_instance_template.receiver[each.key].self_link_unique
  }

  named_port {
    name = "http"
    port = 8080
  }

  # The disk stays when the machine goes, whyever it goes.
  stateful_disk {
    device_name = "parley"
    delete_rule = "NEVER"
  }

  auto_healing_policies {
    health_check      = google_compute_health_check.receiver.id
    initial_delay_sec = 300
  }

  # A new image or setting: the machine is stopped, and made again under its name with its disk.
  update_policy {
    type                  = "PROACTIVE"
    minimal_action        = "REPLACE"
    replacement_method    = "RECREATE"
    max_surge_fixed       = 0
    max_unavailable_fixed = 1
  }

  # `terraform apply` returns when the new one is healthy, so that the next is not rolled before.
  wait_for_instances        = true
  wait_for_instances_status = "UPDATED"

  depends_on = [
    google_artifact_registry_repository_iam_member.receiver_pulls,
    google_compute_router_nat.out,
    google_project_iam_member.receiver,
    google_pubsub_topic_iam_member.receiver_publishes,
    google_secret_manager_secret_iam_member.archive_key_writer,
    google_secret_manager_secret_iam_member.receiver_reads_secret,
    google_storage_bucket_iam_member.receiver_archives,
    google_storage_bucket_iam_member.writer_adds_keys,
    google_storage_bucket_iam_member.writer_lists_keys,
  ]
}
