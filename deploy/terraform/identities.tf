# Who may do what. docs/deploy.md lists every grant with its reason, and a test compares.

resource "google_service_account" "receiver" {
  account_id   = "parley-receiver"
  display_name = "Parley: receives webhooks"

  depends_on = [google_project_service.used]
}

resource "google_service_account" "streaming" {
  account_id   = "parley-streaming"
  display_name = "Parley: workers of the live pipeline"

  depends_on = [google_project_service.used]
}

resource "google_service_account" "batch" {
  account_id   = "parley-batch"
  display_name = "Parley: workers of reprocessing"

  depends_on = [google_project_service.used]
}

# The receiver: publish, add to the archive, read its secrets and image, tell how it is doing.

resource "google_project_iam_custom_role" "archiver" {
  role_id     = "parleyArchiver"
  title       = "Parley archiver"
  description = "Adds objects, and reads them to compare checksums; neither lists, replaces nor deletes any."
  permissions = ["storage.objects.create", "storage.objects.get"]
}

resource "google_storage_bucket_iam_member" "receiver_archives" {
  bucket = google_storage_bucket.archive.name
  role   = google_project_iam_custom_role.archiver.id
  member = google_service_account.receiver.member
}

# Visitors' browsers are told of answers; and who may not list is told of a reply's key that is not there yet that it may
# not be seen. Of the live chat's conversations, of keys of replies, and of nothing else, names are listed.
# https://cloud.google.com/iam/docs/conditions-attribute-reference#api-attributes

resource "google_project_iam_custom_role" "lister" {
  role_id     = "parleyLister"
  title       = "Parley lister"
  description = "Lists names of objects; reads and changes none."
  permissions = ["storage.objects.list"]
}

resource "google_storage_bucket_iam_member" "receiver_lists_answers" {
  bucket = google_storage_bucket.archive.name
  role   = google_project_iam_custom_role.lister.id
  member = google_service_account.receiver.member

  condition {
    title = "answers of the live chat, keys of replies"
    expression = join(" || ", [
      for folder in ["chat", "keys"] :
      "api.getAttribute(\"storage.googleapis.com/objectListPrefix\", \"\").startsWith(\"raw/replies/${folder}/\")"
    ])
  }
}

resource "google_pubsub_topic_iam_member" "receiver_publishes" {
  for_each = local.sources

  topic  = google_pubsub_topic.raw[each.value].id
  role   = "roles/pubsub.publisher"
  member = google_service_account.receiver.member
}

resource "google_secret_manager_secret_iam_member" "receiver_reads_secret" {
  for_each = local.secrets

  secret_id = google_secret_manager_secret.receiver[each.value].id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.receiver.member
}

resource "google_artifact_registry_repository_iam_member" "receiver_pulls" {
  repository = google_artifact_registry_repository.images.name
  location   = var.region
  role       = "roles/artifactregistry.reader"
  member     = google_service_account.receiver.member
}

resource "google_project_iam_member" "receiver" {
  for_each = toset(["roles/logging.logWriter", "roles/monitoring.metricWriter"])

  project = var.project
  role    = each.value
  member  = google_service_account.receiver.member
}

# Workers of the streaming job: read their subscriptions, append rows.

resource "google_project_iam_custom_role" "appender" {
  role_id     = "parleyAppender"
  title       = "Parley appender"
  description = "Appends rows to tables; reads and changes none."
  permissions = ["bigquery.tables.get", "bigquery.tables.updateData"]
}

resource "google_pubsub_subscription_iam_member" "streaming_subscribes" {
  for_each = local.sources

  subscription = google_pubsub_subscription.pipeline[each.value].name
  role         = "roles/pubsub.subscriber"
  member       = google_service_account.streaming.member
}

# Dataflow looks a subscription up before it reads it.
resource "google_pubsub_subscription_iam_member" "streaming_looks_up" {
  for_each = local.sources

  subscription = google_pubsub_subscription.pipeline[each.value].name
  role         = "roles/pubsub.viewer"
  member       = google_service_account.streaming.member
}

# What was erased stays gone: the workers list one small table, and read no other.
resource "google_project_iam_member" "streaming_reads_suppressions" {
  project = var.project
  role    = "roles/bigquery.dataViewer"
  member  = google_service_account.streaming.member

  condition {
    title      = "what is suppressed"
    expression = "resource.name == \"projects/${var.project}/datasets/${local.rows_dataset}/tables/suppressions\""
  }
}

# Workers of batch jobs: read the archive, make a dataset for a run, load rows into it, and compare.

resource "google_storage_bucket_iam_member" "batch_reads_archive" {
  bucket = google_storage_bucket.archive.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.batch.member
}

resource "google_project_iam_member" "batch_makes_datasets" {
  project = var.project
  role    = "roles/bigquery.user"
  member  = google_service_account.batch.member
}

# Both: be a Dataflow worker, pull the image, keep files in passing.

locals {
  workers = {
    streaming = google_service_account.streaming
    batch     = google_service_account.batch
  }
}

# The role also reads and adds objects, of every bucket of the project: here of jobs alone, so that workers of the
# streaming job can neither read the archive and its keys nor add to them.
# https://cloud.google.com/iam/docs/roles-permissions/dataflow#dataflow.worker
resource "google_project_iam_member" "worker" {
  for_each = local.workers

  project = var.project
  role    = "roles/dataflow.worker"
  member  = each.value.member

  condition {
    title = "project without other buckets"
    expression = join(" || ", [
      "(resource.type != \"storage.googleapis.com/Bucket\" && resource.type != \"storage.googleapis.com/Object\")",
      "resource.name.startsWith(\"projects/_/buckets/${google_storage_bucket.jobs.name}\")",
    ])
  }
}

resource "google_artifact_registry_repository_iam_member" "worker_pulls" {
  for_each = local.workers

  repository = google_artifact_registry_repository.images.name
  location   = var.region
  role       = "roles/artifactregistry.reader"
  member     = each.value.member
}

resource "google_storage_bucket_iam_member" "worker_stages" {
  for_each = local.workers

  bucket = google_storage_bucket.jobs.name
  role   = "roles/storage.objectAdmin"
  member = each.value.member
}

# Operators: push images, start jobs as the workers' accounts, plan and apply a reprocessing.

locals {
  # Every pair of an operator and a role in the project.
  operator_roles = {
    for pair in setproduct(var.operators, ["roles/bigquery.user", "roles/dataflow.developer"]) :
    "${pair[0]} ${pair[1]}" => { member = "group:${pair[0]}", role = pair[1] }
  }
}

resource "google_project_iam_member" "operator" {
  for_each = local.operator_roles

  project = var.project
  role    = each.value.role
  member  = each.value.member
}

# The datasets that runs keep their rows in, whoever planned them: a batch job, or another operator. So are previews, and
# the lists of an erasure, which another eraser may go on with. Who makes a dataset owns it, and nobody else of the group.
locals {
  datasets_of_runs = join(" || ", [
    for kind in ["run", "preview", "erasing"] :
    "resource.name.startsWith(\"projects/${var.project}/datasets/${local.views_dataset}_${kind}_\")"
  ])
}

resource "google_project_iam_member" "operator_owns_runs" {
  for_each = var.operators

  project = var.project
  role    = "roles/bigquery.dataOwner"
  member  = "group:${each.value}"

  condition {
    title      = "datasets of runs"
    expression = local.datasets_of_runs
  }
}

resource "google_service_account_iam_member" "operator_starts_streaming" {
  for_each = var.operators

  service_account_id = google_service_account.streaming.name
  role               = "roles/iam.serviceAccountUser"
  member             = "group:${each.value}"
}

resource "google_service_account_iam_member" "operator_starts_batch" {
  for_each = var.operators

  service_account_id = google_service_account.batch.name
  role               = "roles/iam.serviceAccountUser"
  member             = "group:${each.value}"
}

resource "google_storage_bucket_iam_member" "operator_reads_archive" {
  for_each = var.operators

  bucket = google_storage_bucket.archive.name
  role   = "roles/storage.objectViewer"
  member = "group:${each.value}"
}

resource "google_storage_bucket_iam_member" "operator_stages" {
  for_each = var.operators

  bucket = google_storage_bucket.jobs.name
  role   = "roles/storage.objectAdmin"
  member = "group:${each.value}"
}

# Beam asks for the bucket before it stages a file, and objectAdmin has no storage.buckets.get.
resource "google_storage_bucket_iam_member" "operator_sees_jobs" {
  for_each = var.operators

  bucket = google_storage_bucket.jobs.name
  role   = "roles/storage.legacyBucketReader"
  member = "group:${each.value}"
}

resource "google_artifact_registry_repository_iam_member" "operator_pushes" {
  for_each = var.operators

  repository = google_artifact_registry_repository.images.name
  location   = var.region
  role       = "roles/artifactregistry.writer"
  member     = "group:${each.value}"
}

# Analysts: run queries. What they may read is in bigquery.tf.

resource "google_project_iam_member" "analyst" {
  for_each = var.analysts

  project = var.project
  role    = "roles/bigquery.jobUser"
  member  = "group:${each.value}"
}
