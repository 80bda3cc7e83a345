# HTTPS from the internet to the receivers. It passes requests on as they come, does not touch bodies,
# and keeps idle connections for 600 seconds, less than PARLEY_KEEP_ALIVE_SECONDS.

resource "google_compute_global_address" "receiver" {
  name = "parley-receiver"

  depends_on = [google_project_service.used]
}

resource "google_compute_managed_ssl_certificate" "receiver" {
  name = "parley-receiver"

  managed {
    domains = [var.domain]
  }

  depends_on = [google_project_service.used]
}

resource "google_compute_ssl_policy" "receiver" {
  name            = "parley-receiver"
  profile         = "MODERN"
  min_tls_version = "TLS_1_2"

  depends_on = [google_project_service.used]
}

resource "google_compute_backend_service" "receiver" {
  name                  = "parley-receiver"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  protocol              = "HTTP"
  port_name             = "http"
  # More than PARLEY_COMMIT_SECONDS: the receiver gives up first, and says so with a 503.
  timeout_sec                     = 30
  connection_draining_timeout_sec = 30
  health_checks                   = [google_compute_health_check.receiver.id]

  dynamic "backend" {
    for_each = google_compute_instance_group_manager.receiver

    content {
      group           = backend.value.instance_group
      balancing_mode  = "UTILIZATION"
      max_utilization = 0.8
    }
  }

  # Its logs would hold senders' addresses.
  log_config {
    enable = false
  }
}

resource "google_compute_url_map" "receiver" {
  name            = "parley-receiver"
  default_service = google_compute_backend_service.receiver.id

  host_rule {
    hosts        = ["*"]
    path_matcher = "receiver"
  }

  path_matcher {
    name            = "receiver"
    default_service = google_compute_backend_service.receiver.id

    # Answers of the live chat come by a stream that the receiver ends after five minutes. Cut off before, it is trouble
    # to the browser, which pauses the longer the more often that happens.
    path_rule {
      paths   = ["/chatplugin.events"]
      service = google_compute_backend_service.receiver.id

      route_action {
        timeout {
          seconds = "330"
        }
      }
    }
  }
}

resource "google_compute_target_https_proxy" "receiver" {
  name             = "parley-receiver"
  url_map          = google_compute_url_map.receiver.id
  ssl_certificates = [google_compute_managed_ssl_certificate.receiver.id]
  ssl_policy       = google_compute_ssl_policy.receiver.id
}

resource "google_compute_global_forwarding_rule" "receiver" {
  name                  = "parley-receiver"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.receiver.id
  port_range            = "443"
  target                = google_compute_target_https_proxy.receiver.id
}
