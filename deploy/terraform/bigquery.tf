# The two datasets and who may read them. Tables and views are made by `parley tables deploy`.
# READER and WRITER are what BigQuery makes of roles/bigquery.dataViewer and .dataEditor on a dataset.

locals {
  rows_dataset  = "${var.dataset_prefix}parley_rows"
  views_dataset = "${var.dataset_prefix}parley"
}

resource "google_bigquery_dataset" "views" {
  dataset_id  = local.views_dataset
  location    = var.bigquery_location
  description = "Parley: contacts, conversations and messages of all sources."

  access {
    role          = "OWNER"
    special_group = "projectOwners"
  }

  # What counts, and what rows tell, a run is compared with through the views: the last step of a batch job does that.
  access {
    role          = "READER"
    user_by_email = google_service_account.batch.email
  }

  dynamic "access" {
    for_each = setunion(var.operators, var.erasers)

    content {
      role           = "WRITER"
      group_by_email = access.value
    }
  }

  dynamic "access" {
    for_each = var.analysts

    content {
      role           = "READER"
      group_by_email = access.value
    }
  }

  lifecycle {
    prevent_destroy = true
  }

  depends_on = [google_project_service.used]
}

resource "google_bigquery_dataset" "rows" {
  dataset_id  = local.rows_dataset
  location    = var.bigquery_location
  description = "Parley's rows as the pipeline appends them. Analysts query the views, in the other dataset."

  access {
    role          = "OWNER"
    special_group = "projectOwners"
  }

  # Appends rows; reads and changes none.
  access {
    role          = google_project_iam_custom_role.appender.id
    user_by_email = google_service_account.streaming.email
  }

  # Compares what a run has made with what is there, and records the run.
  access {
    role          = "WRITER"
    user_by_email = google_service_account.batch.email
  }

  dynamic "access" {
    for_each = setunion(var.operators, var.erasers)

    content {
      role           = "WRITER"
      group_by_email = access.value
    }
  }

  # The views may read the rows, so that analysts need not.
  access {
    dataset {
      dataset {
        project_id = var.project
        dataset_id = google_bigquery_dataset.views.dataset_id
      }
      target_types = ["VIEWS"]
    }
  }

  lifecycle {
    prevent_destroy = true
  }
}
