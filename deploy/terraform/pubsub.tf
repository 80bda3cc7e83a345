# A topic per source, as the receiver names them, and the subscription that the pipeline reads.

locals {
  built_in_sources = ["airy", "chatplugin", "facebook", "google", "replies", "twilio", "whatsapp"]
  sources          = toset(concat(local.built_in_sources, tolist(var.custom_sources)))
  week             = "604800s"
}

resource "google_pubsub_topic" "raw" {
  for_each = local.sources

  name = "raw-${each.value}"

  depends_on = [google_project_service.used]
}

resource "google_pubsub_subscription" "pipeline" {
  for_each = local.sources

  name  = "parley-${each.value}"
  topic = google_pubsub_topic.raw[each.value].id

  # A pipeline that dies leaves its messages for this long to nobody. Those that live prolong it.
  ack_deadline_seconds       = 60
  message_retention_duration = local.week

  # Never: by default a subscription that nobody reads for a month is removed, with all that it holds.
  expiration_policy {
    ttl = ""
  }

  # As often as can be set: giving up on an event is the ledger's business, not the transport's. What lands
  # there all the same is in the archive, and `parley reconcile --redrive` brings it to BigQuery.
  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead_letters.id
    max_delivery_attempts = 100
  }
}

resource "google_pubsub_topic" "dead_letters" {
  name = "parley-dead-letters"

  depends_on = [google_project_service.used]
}

# Without a subscription the topic would drop them.
resource "google_pubsub_subscription" "dead_letters" {
  name                       = "parley-dead-letters"
  topic                      = google_pubsub_topic.dead_letters.id
  ack_deadline_seconds       = 60
  message_retention_duration = local.week

  expiration_policy {
    ttl = ""
  }
}

# Pub/Sub itself moves dead letters: https://cloud.google.com/pubsub/docs/handling-failures#grant_forwarding_permissions
# Its account is made when it is first asked for, which this does.
resource "google_project_service_identity" "pubsub" {
  provider = google-beta

  service = "pubsub.googleapis.com"

  depends_on = [google_project_service.used]
}

resource "google_pubsub_topic_iam_member" "agent_publishes_dead_letters" {
  topic  = google_pubsub_topic.dead_letters.id
  role   = "roles/pubsub.publisher"
  member = google_project_service_identity.pubsub.member
}

resource "google_pubsub_subscription_iam_member" "agent_takes_dead_letters" {
  for_each = local.sources

  subscription = google_pubsub_subscription.pipeline[each.value].name
  role         = "roles/pubsub.subscriber"
  member       = google_project_service_identity.pubsub.member
}
