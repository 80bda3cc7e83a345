# The archive, which holds everything that was ever received; and a bucket for what jobs need in passing.

resource "google_storage_bucket" "archive" {
  name                        = "${var.project}-parley-archive"
  location                    = var.archive_location
  storage_class               = "STANDARD"
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false

  # A deleted object can be had back for so long.
  soft_delete_policy {
    retention_duration_seconds = 30 * 86400
  }

  # History is seldom read, and cheaper so. The last quarter stays where reading costs nothing.
  lifecycle_rule {
    condition {
      age                   = 90
      matches_storage_class = ["STANDARD"]
    }
    action {
      type          = "SetStorageClass"
      storage_class = "NEARLINE"
    }
  }

  lifecycle_rule {
    condition {
      age                   = 365
      matches_storage_class = ["NEARLINE"]
    }
    action {
      type          = "SetStorageClass"
      storage_class = "COLDLINE"
    }
  }

  # Events only. What lies beside them, below raw/replies, is small and has no age: the keys that keep a reply from being
  # sent twice, what is known of attempts, and legal holds.
  dynamic "lifecycle_rule" {
    for_each = var.archive_delete_after_days == null ? [] : [var.archive_delete_after_days]

    content {
      condition {
        age            = lifecycle_rule.value
        matches_prefix = ["raw/source="]
      }
      action {
        type = "Delete"
      }
    }
  }

  lifecycle {
    prevent_destroy = true
  }

  depends_on = [google_project_service.used]
}

resource "google_storage_bucket" "jobs" {
  name                        = "${var.project}-parley-jobs"
  location                    = var.region
  storage_class               = "STANDARD"
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  # Nothing here is worth having back, and rows of people that were erased since must be gone: docs/privacy.md. Said, since
  # what is left out becomes seven days.
  soft_delete_policy {
    retention_duration_seconds = 0
  }

  # Rows that a batch job has long loaded. Nothing else: a streaming job starts new workers from what is staged
  # here for as long as it runs.
  lifecycle_rule {
    condition {
      age            = 14
      matches_prefix = ["dataflow/rows/"]
    }
    action {
      type = "Delete"
    }
  }

  depends_on = [google_project_service.used]
}

locals {
  temp_location = "gs://${google_storage_bucket.jobs.name}/dataflow"
}
