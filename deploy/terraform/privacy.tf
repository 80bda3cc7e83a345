# Who erases people, and the key with which that is done: docs/privacy.md.

# The value is put there by hand and never passes Terraform. It is kept as long as the archive: whoever loses it can
# neither finish an erasure nor keep what was erased from coming back.
resource "google_secret_manager_secret" "erasure_key" {
  secret_id = "PARLEY_ERASURE_KEY"

  replication {
    auto {}
  }

  lifecycle {
    prevent_destroy = true
  }

  depends_on = [google_project_service.used]
}

# Operators as well: who plans a run must know what is not to come back.
resource "google_secret_manager_secret_iam_member" "erasure_key" {
  for_each = setunion(var.operators, var.erasers)

  secret_id = google_secret_manager_secret.erasure_key.id
  role      = "roles/secretmanager.secretAccessor"
  member    = "group:${each.value}"
}

# Workers know by it what is suppressed. Those of the streaming job cannot read the archive, and so open no seal; none can
# replace an object there.
resource "google_secret_manager_secret_iam_member" "erasure_key_streaming" {
  secret_id = google_secret_manager_secret.erasure_key.id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.streaming.member
}

resource "google_secret_manager_secret_iam_member" "erasure_key_batch" {
  secret_id = google_secret_manager_secret.erasure_key.id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.batch.member
}

# Nobody else can replace an object of the archive.
resource "google_project_iam_custom_role" "eraser" {
  role_id     = "parleyEraser"
  title       = "Parley eraser"
  description = "Reads, lists, adds, replaces and deletes objects."
  permissions = ["storage.objects.create", "storage.objects.delete", "storage.objects.get", "storage.objects.list"]
}

resource "google_storage_bucket_iam_member" "eraser" {
  for_each = var.erasers

  bucket = google_storage_bucket.archive.name
  role   = google_project_iam_custom_role.eraser.id
  member = "group:${each.value}"
}

# How long the bucket keeps what was replaced: `parley erase verify` asks.
resource "google_storage_bucket_iam_member" "eraser_asks" {
  for_each = var.erasers

  bucket = google_storage_bucket.archive.name
  role   = "roles/storage.legacyBucketReader"
  member = "group:${each.value}"
}

resource "google_project_iam_member" "eraser" {
  for_each = setsubtract(var.erasers, var.operators)

  project = var.project
  role    = "roles/bigquery.user"
  member  = "group:${each.value}"
}

# Rows that runs keep, whoever planned them, and the lists of an erasure that another eraser has begun.
resource "google_project_iam_member" "eraser_owns_runs" {
  for_each = setsubtract(var.erasers, var.operators)

  project = var.project
  role    = "roles/bigquery.dataOwner"
  member  = "group:${each.value}"

  condition {
    title      = "datasets of runs"
    expression = local.datasets_of_runs
  }
}
