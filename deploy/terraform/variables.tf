variable "project" {
  description = "Google Cloud project that everything is made in; it must exist and have billing."
  type        = string
}

variable "region" {
  description = "Region of the receivers, the jobs and the images, such as europe-west1."
  type        = string
}

variable "bigquery_location" {
  description = "Where the datasets are: PARLEY_LOCATION. Cannot be changed later."
  type        = string
  default     = "US"
}

variable "archive_location" {
  description = "Where the archive's bucket is: a region or a multi-region. Cannot be changed later."
  type        = string
  default     = "US"
}

variable "dataset_prefix" {
  description = "What the names of the datasets begin with: PARLEY_DATASET_PREFIX."
  type        = string
  default     = ""
}

variable "custom_sources" {
  description = "Names of the custom sources of sources_file."
  type        = set(string)
  default     = []
}

variable "sources_file" {
  description = "Path of the TOML file of custom sources (PARLEY_SOURCES_FILE), if there are any."
  type        = string
  default     = null
}

variable "domain" {
  description = "Name by which sources reach the receivers, such as hooks.example.org."
  type        = string
}

variable "receivers" {
  description = <<-EOT
    The receivers by name: each a zone, and the image that it runs, by digest. Each is rolled when its
    own image changes, and keeps its disk. Empty until there is an image.
  EOT
  type = map(object({
    zone  = string
    image = string
  }))
  default = {}

  validation {
    condition     = alltrue([for receiver in values(var.receivers) : strcontains(receiver.image, "@sha256:")])
    error_message = "Name images by digest (…@sha256:…): a tag may mean something else tomorrow."
  }
}

variable "receiver_secrets" {
  description = <<-EOT
    Variables of docs/configuration.md whose values are secrets, such as PARLEY_FACEBOOK_APP_SECRETS. Each
    gets a secret of that name in Secret Manager; the values are put there by hand and never pass Terraform.
  EOT
  type        = set(string)
  default     = []
}

variable "receiver_settings" {
  description = "Further variables of docs/configuration.md for the receivers, by name."
  type        = map(string)
  default     = {}
}

variable "sends" {
  description = <<-EOT
    Whether replies are sent: makes the sender's subscriptions and its account. A subscription that nobody reads
    keeps a week of messages, so only where `parley send` runs.
  EOT
  type        = bool
  default     = false
}

variable "senders" {
  description = <<-EOT
    The senders by name, where replies are sent: each a zone, and the image that it runs, by digest. They share the
    work and the rates. Empty until there is an image, or where `parley send` runs elsewhere.
  EOT
  type = map(object({
    zone  = string
    image = string
  }))
  default = {}

  validation {
    condition     = alltrue([for sender in values(var.senders) : strcontains(sender.image, "@sha256:")])
    error_message = "Name images by digest (…@sha256:…): a tag may mean something else tomorrow."
  }

  validation {
    condition     = var.sends || length(var.senders) == 0
    error_message = "A sender needs its subscriptions: set sends = true."
  }
}

variable "sender_settings" {
  description = "Further variables of docs/sending.md for the senders, by name."
  type        = map(string)
  default     = {}
}

variable "receiver_machine_type" {
  description = "Machine type of the receivers."
  type        = string
  default     = "e2-standard-2"
}

variable "receiver_disk_gib" {
  description = "Size of each receiver's disk: an hour of 100 events a second of 1 KB takes 0.4 GB in an outage."
  type        = number
  default     = 50
}

variable "archive_delete_after_days" {
  description = "Days after which archived raw events are deleted, from when their segment was last written, which an erasure does anew; null keeps them for ever."
  type        = number
  default     = null
}

variable "seals_archive" {
  description = <<-EOT
    Whether archived events are encrypted: makes a bucket for data keys and the secret PARLEY_ARCHIVE_KEY, and gives
    both to receivers and senders. The secret needs its value first: docs/deploy.md. Cannot be taken back.
  EOT
  type        = bool
  default     = false

  validation {
    condition     = !(var.seals_archive && contains(var.receiver_secrets, "PARLEY_ARCHIVE_KEY"))
    error_message = "PARLEY_ARCHIVE_KEY comes with seals_archive: take it out of receiver_secrets."
  }
}

variable "pipeline" {
  description = <<-EOT
    The streaming job, where Terraform holds it: the spec of the Flex Template in a bucket, its image by
    digest, and what bounds its workers. Null where `parley deploy dataflow` starts it.
  EOT
  type = object({
    template     = string
    image        = string
    machine_type = optional(string, "n1-standard-2")
    max_workers  = optional(number, 10)
  })
  default = null
}

variable "operators" {
  description = "Groups that deploy, run batch jobs and reprocess history, by e-mail address."
  type        = set(string)
  default     = []
}

variable "erasers" {
  description = "Groups that erase people, let go what was kept long enough, and hold it, by e-mail address. Best empty but for that time."
  type        = set(string)
  default     = []
}

variable "analysts" {
  description = "Groups that read the views, and nothing but the views, by e-mail address."
  type        = set(string)
  default     = []
}

variable "alert_emails" {
  description = "Addresses that alerts are sent to."
  type        = set(string)
  default     = []
}
