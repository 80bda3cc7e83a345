# A network of its own. No machine has a public address: Google's APIs are reached through Private Google
# Access, the receivers only by the load balancer, and whom senders and custom sources call through Cloud NAT.

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

# Private Google Access reaches Google, and nobody else. Meta's and Twilio's APIs, to which senders send, and the keys_url
# of custom sources need a way out: a subnetwork of their own, so that workers have none, and neither has anybody where
# nothing calls out. https://cloud.google.com/nat/docs/overview

locals {
  fetches_keys = var.sources_file == null ? false : strcontains(file(var.sources_file), "keys_url")
  calls_out    = var.sends || local.fetches_keys ? toset(["out"]) : toset([])
}

resource "google_compute_subnetwork" "out" {
  for_each = local.calls_out

  name                     = "parley-out"
  network                  = google_compute_network.parley.id
  region                   = var.region
  ip_cidr_range            = "10.128.16.0/20"
  private_ip_google_access = true
}

resource "google_compute_router" "out" {
  for_each = local.calls_out

  name    = "parley-out"
  network = google_compute_network.parley.id
  region  = var.region
}

resource "google_compute_router_nat" "out" {
  for_each = local.calls_out

  name                               = "parley-out"
  router                             = google_compute_router.out[each.value].name
  region                             = var.region
  nat_ip_allocate_option             = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat = "LIST_OF_SUBNETWORKS"

  subnetwork {
    name                    = google_compute_subnetwork.out[each.value].id
    source_ip_ranges_to_nat = ["ALL_IP_RANGES"]
  }
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
