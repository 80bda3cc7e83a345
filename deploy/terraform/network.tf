# A network of its own. No machine has a public address: Google's APIs are reached through Private Google
# Access, and the receivers only by the load balancer.

resource "google_compute_network" "parley" {
  name                    = "parley"
  auto_create_subnetworks = false

  depends_on = [google_project_service.used]
}

resource "google_compute_subnetwork" "parley" {
  name                     = "parley"
  network                  = google_compute_network.parley.id
  region                   = var.region
  ip_cidr_range            = "10.128.0.0/20"
  private_ip_google_access = true
}

locals {
  # As Dataflow names it.
  subnetwork = "regions/${var.region}/subnetworks/${google_compute_subnetwork.parley.name}"
}

resource "google_compute_firewall" "receivers" {
  name        = "parley-receivers"
  description = "The load balancer and its health checks reach the receivers."
  network     = google_compute_network.parley.id
  # https://cloud.google.com/load-balancing/docs/https#firewall-rules
  source_ranges           = ["35.191.0.0/16", "130.211.0.0/22"]
  target_service_accounts = [google_service_account.receiver.email]

  allow {
    protocol = "tcp"
    ports    = ["8080"]
  }
}

resource "google_compute_firewall" "workers" {
  name        = "parley-workers"
  description = "Dataflow's workers reach each other."
  network     = google_compute_network.parley.id
  # https://cloud.google.com/dataflow/docs/guides/routes-firewall
  source_tags = ["dataflow"]
  target_tags = ["dataflow"]

  allow {
    protocol = "tcp"
    ports    = ["12345-12346"]
  }
}
