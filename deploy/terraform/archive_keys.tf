# Where the data keys of a sealed archive lie, and the secret that wraps them: docs/privacy.md, "Copies die too".
# Nothing of this is made before seals_archive is set. Whoever loses the one or the other loses every archived
# event, so Terraform refuses to take the variable back.

locals {
  sealing = var.seals_archive ? toset(["archive"]) : toset([])

  # What a machine that writes the archive sets, and fetches; nothing where it is not sealed.
  archive_keys   = { for made in google_storage_bucket.archive_keys : "PARLEY_ARCHIVE_KEYS" => "gs://${made.name}" }
  archive_secret = { for made in google_secret_manager_secret.archive_key : made.secret_id => made.id }
}

# A bucket of its own, which keeps nothing of what is removed: a key that an erasure has destroyed must be gone.
# Else copies of what it has sealed, which the archive's bucket keeps, could be read as long as a copy of the key.
resource "google_storage_bucket" "archive_keys" {
  for_each = local.sealing

  name                        = "${var.project}-parley-keys"
  location                    = var.archive_location
  storage_class               = "STANDARD"
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false

  # Said, since what is left out becomes seven days.
  soft_delete_policy {
    retention_duration_seconds = 0
  }

  versioning {
    enabled = false
  }

  lifecycle {
    prevent_destroy = true
  }

  depends_on = [google_project_service.used]
}

# The value is put there by hand and never passes Terraform.
resource "google_secret_manager_secret" "archive_key" {
  for_each = local.sealing

  secret_id = "PARLEY_ARCHIVE_KEY"

  replication {
    auto {}
  }

  lifecycle {
    prevent_destroy = true
  }

  depends_on = [google_project_service.used]
}

# Who writes the archive: adds keys, and reads them to compare. Neither replaces nor deletes any.

locals {
  archive_writers = merge(
    var.seals_archive ? { receiver = google_service_account.receiver.member } : {},
    var.seals_archive && var.sends ? { sender = google_service_account.sender["sender"].member } : {},
  )
}

resource "google_storage_bucket_iam_member" "writer_adds_keys" {
  for_each = local.archive_writers

  bucket = google_storage_bucket.archive_keys["archive"].name
  role   = google_project_iam_custom_role.archiver.id
  member = each.value
}

# Who may not list is told of a key that is gone that it may not be seen, and would ask again for ever.
resource "google_storage_bucket_iam_member" "writer_lists_keys" {
  for_each = local.archive_writers

  bucket = google_storage_bucket.archive_keys["archive"].name
  role   = google_project_iam_custom_role.lister.id
  member = each.value
}

resource "google_secret_manager_secret_iam_member" "archive_key_writer" {
  for_each = local.archive_writers

  secret_id = google_secret_manager_secret.archive_key["archive"].id
  role      = "roles/secretmanager.secretAccessor"
  member    = each.value
}

# Who reads the archive reads the keys. Workers of the streaming job read neither.

locals {
  archive_readers = merge(
    var.seals_archive ? { batch = google_service_account.batch.member } : {},
    { for group in var.seals_archive ? var.operators : toset([]) : group => "group:${group}" },
  )
}

resource "google_storage_bucket_iam_member" "reader_reads_keys" {
  for_each = local.archive_readers

  bucket = google_storage_bucket.archive_keys["archive"].name
  role   = "roles/storage.objectViewer"
  member = each.value
}

resource "google_secret_manager_secret_iam_member" "archive_key_reader" {
  for_each = local.archive_readers

  secret_id = google_secret_manager_secret.archive_key["archive"].id
  role      = "roles/secretmanager.secretAccessor"
  member    = each.value
}

# Nobody else destroys a key.

locals {
  archive_erasers = var.seals_archive ? var.erasers : toset([])
}

resource "google_storage_bucket_iam_member" "eraser_destroys_keys" {
  for_each = local.archive_erasers

  bucket = google_storage_bucket.archive_keys["archive"].name
  role   = google_project_iam_custom_role.eraser.id
  member = "group:${each.value}"
}

# Whether the bucket keeps what was removed: `parley erase verify` asks.
resource "google_storage_bucket_iam_member" "eraser_asks_of_keys" {
  for_each = local.archive_erasers

  bucket = google_storage_bucket.archive_keys["archive"].name
  role   = "roles/storage.legacyBucketReader"
  member = "group:${each.value}"
}

resource "google_secret_manager_secret_iam_member" "archive_key_eraser" {
  for_each = setsubtract(local.archive_erasers, var.operators)

  secret_id = google_secret_manager_secret.archive_key["archive"].id
  role      = "roles/secretmanager.secretAccessor"
  member    = "group:${each.value}"
}
