output "address" {
  description = "What the domain's A record must say."
  value       = google_compute_global_address.receiver.address
}

output "images" {
  description = "What the names of images begin with."
  value       = local.images
}

output "archive" {
  description = "PARLEY_ARCHIVE of the receivers, and of `parley backfill plan`."
  value       = local.receiver_environment.PARLEY_ARCHIVE
}

output "archive_keys" {
  description = "PARLEY_ARCHIVE_KEYS of whoever reads a sealed archive; empty where it is not sealed."
  value       = join("", values(local.archive_keys))
}

output "archive_key_secret" {
  description = "The secret that wraps these keys, by its name: --archive_key_secret of a batch job."
  value       = join("", values(local.archive_secret))
}

output "erasure_key_secret" {
  description = "The secret with which people are erased, by its name: --erasure_key_secret of a job."
  value       = google_secret_manager_secret.erasure_key.id
}

output "temp_location" {
  description = "Where jobs keep staged and temporary files."
  value       = local.temp_location
}

output "streaming_account" {
  description = "The account of the live pipeline's workers."
  value       = google_service_account.streaming.email
}

output "batch_account" {
  description = "The account of the workers of batch jobs."
  value       = google_service_account.batch.email
}

output "subnetwork" {
  description = "The network of the workers, which have no public addresses."
  value       = local.subnetwork
}
