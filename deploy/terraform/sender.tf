# What `parley send` needs, where replies are sent: its subscriptions, and an account of its own. It runs on machines of its
# own (sender_machine.tf), or wherever there is a disk that outlives it (docs/deploy.md, "The sender").

locals {
  # Replies, and the webhooks that prove that one was sent, or that a visitor is there.
  sender_sources = var.sends ? toset(["chatplugin", "facebook", "replies", "twilio", "whatsapp"]) : toset([])
  sender         = var.sends ? toset(["sender"]) : toset([])
}

resource "google_pubsub_subscription" "sender" {
  for_each = local.sender_sources

  name  = "parley-sender-${each.value}"
  topic = google_pubsub_topic.raw[each.value].id

  # What a sender that died had taken comes again soon: receipts are waited for.
  ack_deadline_seconds       = 10
  message_retention_duration = local.week

  expiration_policy {
    ttl = ""
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead_letters.id
    max_delivery_attempts = 100
  }
}

resource "google_pubsub_subscription_iam_member" "agent_takes_dead_letters_of_the_sender" {
  for_each = local.sender_sources

  subscription = google_pubsub_subscription.sender[each.value].name
  role         = "roles/pubsub.subscriber"
  member       = google_project_service_identity.pubsub.member
}

resource "google_service_account" "sender" {
  for_each = local.sender

  account_id   = "parley-sender"
  display_name = "Parley: sends replies"

  depends_on = [google_project_service.used]
}

resource "google_pubsub_subscription_iam_member" "sender_subscribes" {
  for_each = local.sender_sources

  subscription = google_pubsub_subscription.sender[each.value].name
  role         = "roles/pubsub.subscriber"
  member       = google_service_account.sender["sender"].member
}

# Attempts and outcomes are raw events of replies.
resource "google_pubsub_topic_iam_member" "sender_publishes" {
  for_each = local.sender

  topic  = google_pubsub_topic.raw["replies"].id
  role   = "roles/pubsub.publisher"
  member = google_service_account.sender["sender"].member
}

resource "google_storage_bucket_iam_member" "sender_archives" {
  for_each = local.sender

  bucket = google_storage_bucket.archive.name
  role   = google_project_iam_custom_role.archiver.id
  member = google_service_account.sender["sender"].member
}

resource "google_storage_bucket_iam_member" "sender_lists" {
  for_each = local.sender

  bucket = google_storage_bucket.archive.name
  role   = google_project_iam_custom_role.lister.id
  member = google_service_account.sender["sender"].member

  condition {
    title      = "what is known of replies"
    expression = "api.getAttribute(\"storage.googleapis.com/objectListPrefix\", \"\").startsWith(\"raw/replies/\")"
  }
}

# What no longer waits, and answers that are too old to be shown. The archive itself is not below this prefix.
resource "google_project_iam_custom_role" "remover" {
  role_id     = "parleyRemover"
  title       = "Parley remover"
  description = "Deletes objects; reads none."
  permissions = ["storage.objects.delete"]
}

resource "google_storage_bucket_iam_member" "sender_removes" {
  for_each = local.sender

  bucket = google_storage_bucket.archive.name
  role   = google_project_iam_custom_role.remover.id
  member = google_service_account.sender["sender"].member

  condition {
    title      = "objects about replies"
    expression = "resource.name.startsWith(\"projects/_/buckets/${google_storage_bucket.archive.name}/objects/raw/replies/\")"
  }
}

resource "google_project_iam_member" "sender" {
  for_each = var.sends ? toset(["roles/logging.logWriter"]) : toset([])

  project = var.project
  role    = each.value
  member  = google_service_account.sender["sender"].member
}
