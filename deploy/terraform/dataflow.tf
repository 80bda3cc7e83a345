# The streaming job, where Terraform holds it rather than `parley deploy dataflow`: docs/deploy.md says how
# they differ. Each apply updates the running job in place, changed or not: the provider reads back no option of a job in
# Python (https://github.com/GoogleCloudPlatform/magic-modules/pull/14038). Where it would replace the job for that, which
# num_workers and max_workers make it do, options are parameters here.

resource "google_dataflow_flex_template_job" "streaming" {
  count    = var.pipeline == null ? 0 : 1
  provider = google-beta

  # The name that `parley deploy` uses, so that it can also drain this one.
  name                    = "parley-streaming"
  region                  = var.region
  container_spec_gcs_path = var.pipeline.template
  service_account_email   = google_service_account.streaming.email
  staging_location        = "${local.temp_location}/staging"
  temp_location           = "${local.temp_location}/temp"
  subnetwork              = local.subnetwork
  ip_configuration        = "WORKER_IP_PRIVATE"
  machine_type            = var.pipeline.machine_type
  autoscaling_algorithm   = "THROUGHPUT_BASED"
  enable_streaming_engine = true
  # As `parley deploy dataflow` does: the views show a message once, so that Dataflow need not shuffle for it.
  additional_experiments = ["streaming_mode_at_least_once"]
  on_delete              = "drain"

  parameters = {
    sdk_container_image = var.pipeline.image
    max_num_workers     = tostring(var.pipeline.max_workers)
    subscription        = join(",", [for subscription in google_pubsub_subscription.pipeline : subscription.id])
    bigquery_project    = var.project
    bigquery_location   = var.bigquery_location
    dataset_prefix      = var.dataset_prefix
    # Its name, not its value: workers read it themselves, once somebody was erased.
    erasure_key_secret = google_secret_manager_secret.erasure_key.id
  }

  depends_on = [
    google_artifact_registry_repository_iam_member.worker_pulls,
    google_bigquery_dataset.rows,
    google_project_iam_member.worker,
    google_project_iam_member.streaming_reads_suppressions,
    google_pubsub_subscription_iam_member.streaming_looks_up,
    google_pubsub_subscription_iam_member.streaming_subscribes,
    google_secret_manager_secret_iam_member.erasure_key_streaming,
    google_storage_bucket_iam_member.worker_stages,
  ]
}
