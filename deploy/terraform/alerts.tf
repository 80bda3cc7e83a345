# Alerts, each with what to do. Those of the receiver are the table of docs/operations.md, word for word.

locals {
  receiver_alerts = {
    "requests fail" = {
      query   = "sum(rate(parley_receiver_requests_total{status=~\"5..\"}[5m])) / sum(rate(parley_receiver_requests_total[5m])) > 0.001"
      runbook = "docs/operations.md#requests-fail"
    }
    "spool grows" = {
      query   = "max(parley_receiver_spool_oldest_seconds) > 60"
      runbook = "docs/operations.md#pubsub-does-not-take-events"
    }
    "uploads late" = {
      query   = "max(parley_receiver_upload_oldest_seconds) > 900"
      runbook = "docs/operations.md#uploads-are-late"
    }
    "senders rejected" = {
      query   = "sum by (source, reason) (rate(parley_receiver_rejected_total{reason!=\"asked for credentials\"}[10m])) > 0.1"
      runbook = "docs/operations.md#senders-are-rejected"
    }
    # A trickle that is all there is: however few webhooks a source sends.
    "source shut out" = {
      query   = "sum by (source) (increase(parley_receiver_rejected_total{reason=~\"wrong or missing .*|not proven .*|asked for .*\",source!=\"sources.webhook\"}[2h])) > 5 unless sum by (source) (increase(parley_receiver_commit_seconds_count[2h])) > 0"
      runbook = "docs/operations.md#senders-are-rejected"
    }
    "commits slow" = {
      query   = "histogram_quantile(0.99, sum by (le) (rate(parley_receiver_commit_seconds_bucket[5m]))) > 1"
      runbook = "docs/operations.md#commits-are-slow"
    }
    "events refused" = {
      query   = "max(parley_receiver_refused_events) > 0"
      runbook = "docs/operations.md#pubsub-refuses-an-event"
    }
    "receiver gone" = {
      query   = "(sum(up{job=\"parley-receiver\"}) or vector(0)) < ${length(var.receivers)}"
      runbook = "docs/deploy.md#receiver-gone"
      # Longer than it takes to roll one.
      duration = "600s"
    }
  }

  log_alerts = {
    "damaged segment" = {
      filter  = "resource.type = \"gce_instance\" AND \"damaged segment\""
      runbook = "docs/operations.md#a-segment-is-damaged"
    }
    # Only where people have to mend something: BigQuery being away passes.
    "table takes no rows" = {
      filter  = "resource.type = \"dataflow_step\" AND \"BigQuery does not take rows\" AND \"parley tables deploy\""
      runbook = "docs/operations.md#a-table-takes-no-rows"
    }
    "much cannot be read" = {
      filter  = "resource.type = \"dataflow_step\" AND \"much cannot be read\""
      runbook = "docs/operations.md#much-cannot-be-read"
    }
    "channel stopped" = {
      filter  = "resource.type = \"gce_instance\" AND \"a channel is stopped\""
      runbook = "docs/sending.md#a-channel-is-stopped"
    }
    "replies in doubt" = {
      filter  = "resource.type = \"gce_instance\" AND \"a reply stayed in doubt\""
      runbook = "docs/sending.md#in-doubt"
    }
  }

  # Google's own metrics: https://cloud.google.com/monitoring/api/metrics_gcp
  cloud_alerts = {
    "pipeline behind" = {
      metric    = "pubsub.googleapis.com/subscription/oldest_unacked_message_age"
      resource  = "pubsub_subscription"
      where     = " AND resource.labels.subscription_id = starts_with(\"parley-\") AND resource.labels.subscription_id != \"parley-dead-letters\""
      threshold = 300
      runbook   = "docs/deploy.md#pipeline-behind"
    }
    "undelivered events" = {
      metric    = "pubsub.googleapis.com/subscription/num_undelivered_messages"
      resource  = "pubsub_subscription"
      where     = " AND resource.labels.subscription_id = \"parley-dead-letters\""
      threshold = 0
      runbook   = "docs/deploy.md#undelivered-events"
    }
    "job failed" = {
      metric    = "dataflow.googleapis.com/job/is_failed"
      resource  = "dataflow_job"
      where     = " AND resource.labels.job_name = starts_with(\"parley\")"
      threshold = 0
      runbook   = "docs/deploy.md#job-failed"
      # At once: a job that has ended stops reporting, and may not do so for minutes after it has failed.
      duration = "0s"
    }
  }

  # What no receiver can tell: that nobody reaches it. In the words of Google's own examples,
  # https://cloud.google.com/monitoring/alerts/policies-in-json
  reach_alerts = {
    "receiver unreachable" = {
      metric     = "monitoring.googleapis.com/uptime_check/check_passed"
      comparison = "COMPARISON_GT"
      threshold  = 1
      reducer    = "REDUCE_COUNT_FALSE"
      runbook    = "docs/deploy.md#receiver-unreachable"
    }
    # In days. Google renews its certificates about a month before they end.
    "certificate ends" = {
      metric     = "monitoring.googleapis.com/uptime_check/time_until_ssl_cert_expires"
      comparison = "COMPARISON_LT"
      threshold  = 14
      reducer    = "REDUCE_MEAN"
      runbook    = "docs/deploy.md#certificate-ends"
    }
  }
}

resource "google_monitoring_notification_channel" "email" {
  for_each = var.alert_emails

  display_name = "Parley: ${each.value}"
  type         = "email"
  labels       = { email_address = each.value }

  depends_on = [google_project_service.used]
}

locals {
  channels = [for channel in google_monitoring_notification_channel.email : channel.id]
}

# Only once there are receivers: before their first report Cloud Monitoring does not know these metrics.
resource "google_monitoring_alert_policy" "receiver" {
  for_each = { for name, alert in local.receiver_alerts : name => alert if length(var.receivers) > 0 }

  display_name          = "Parley: ${each.key}"
  combiner              = "OR"
  notification_channels = local.channels

  conditions {
    display_name = each.key

    condition_prometheus_query_language {
      query               = each.value.query
      duration            = try(each.value.duration, "120s")
      evaluation_interval = "60s"
      # The first apply comes before the first receiver, when no metric has a series yet.
      disable_metric_validation = true
    }
  }

  documentation {
    content = "What to do: ${each.value.runbook} in Parley's repository."
  }

  depends_on = [google_compute_instance_group_manager.receiver]
}

resource "google_monitoring_alert_policy" "cloud" {
  for_each = local.cloud_alerts

  display_name          = "Parley: ${each.key}"
  combiner              = "OR"
  notification_channels = local.channels

  conditions {
    display_name = each.key

    condition_threshold {
      filter          = "metric.type = \"${each.value.metric}\" AND resource.type = \"${each.value.resource}\"${each.value.where}"
      comparison      = "COMPARISON_GT"
      threshold_value = each.value.threshold
      duration        = try(each.value.duration, "300s")

      aggregations {
        alignment_period   = "60s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }

  documentation {
    content = "What to do: ${each.value.runbook} in Parley's repository."
  }

  depends_on = [google_pubsub_subscription.pipeline, google_pubsub_subscription.dead_letters]
}

# By the name that the sources know, over its certificate: a wrong record or an old certificate leaves receivers healthy.
resource "google_monitoring_uptime_check_config" "receiver" {
  for_each = length(var.receivers) > 0 ? toset(["receiver"]) : toset([])

  display_name = "Parley: receiver"
  period       = "60s"
  timeout      = "10s"

  http_check {
    path         = "/__lbheartbeat__"
    port         = 443
    use_ssl      = true
    validate_ssl = true
  }

  monitored_resource {
    type   = "uptime_url"
    labels = { project_id = var.project, host = var.domain }
  }

  depends_on = [google_compute_instance_group_manager.receiver]
}

resource "google_monitoring_alert_policy" "reach" {
  for_each = { for name, alert in local.reach_alerts : name => alert if length(var.receivers) > 0 }

  display_name          = "Parley: ${each.key}"
  combiner              = "OR"
  notification_channels = local.channels

  conditions {
    display_name = each.key

    condition_threshold {
      filter          = "metric.type = \"${each.value.metric}\" AND resource.type = \"uptime_url\" AND metric.labels.check_id = \"${google_monitoring_uptime_check_config.receiver["receiver"].uptime_check_id}\""
      comparison      = each.value.comparison
      threshold_value = each.value.threshold
      duration        = "300s"

      aggregations {
        alignment_period     = "1200s"
        per_series_aligner   = "ALIGN_NEXT_OLDER"
        cross_series_reducer = each.value.reducer
        group_by_fields      = ["resource.label.*"]
      }
    }
  }

  documentation {
    content = "What to do: ${each.value.runbook} in Parley's repository."
  }
}

resource "google_monitoring_alert_policy" "log" {
  for_each = local.log_alerts

  display_name          = "Parley: ${each.key}"
  combiner              = "OR"
  notification_channels = local.channels

  conditions {
    display_name = each.key

    condition_matched_log {
      filter = each.value.filter
    }
  }

  # Asked for by the API for alerts on logs.
  alert_strategy {
    notification_rate_limit {
      period = "3600s"
    }
  }

  documentation {
    content = "What to do: ${each.value.runbook} in Parley's repository."
  }

  depends_on = [google_project_service.used]
}
