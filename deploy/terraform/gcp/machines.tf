locals {
  node_config = templatefile("${path.module}/node.yaml.tftpl", {
    devices      = var.devices
    secret       = var.token_secret
    store_secret = var.store_secret
    bucket       = var.bucket
    sha256       = var.binary_sha256
  })
}

resource "google_compute_instance" "coordinator" {
  count        = 3
  name         = "${var.name}-c${count.index + 1}"
  zone         = local.zones[count.index]
  machine_type = var.coordinator_type
  tags         = ["${var.name}-coordinator"]
  boot_disk {
    initialize_params {
      image = var.coordinator_image
      size  = 20
    }
  }
  network_interface {
    subnetwork = google_compute_subnetwork.main.id
    network_ip = local.coordinators[count.index]
  }
  service_account {
    email  = google_service_account.coordinator[count.index].email
    scopes = ["cloud-platform"]
  }
  shielded_instance_config {
    enable_secure_boot = true
  }
  metadata = {
    block-project-ssh-keys = "true"
    user-data = templatefile("${path.module}/coordinator.yaml.tftpl", {
      name         = "c${count.index + 1}"
      address      = local.coordinators[count.index]
      join         = join(",", local.coordinators)
      store        = var.store
      secret       = var.coordinator_secrets[count.index]
      store_secret = var.store_secret
      bucket       = var.bucket
      sha256       = var.binary_sha256
    })
  }
  depends_on = [google_secret_manager_secret_iam_member.coordinator, google_secret_manager_secret_iam_member.store, google_compute_router_nat.main]
}

resource "google_compute_region_instance_template" "node" {
  name_prefix  = "${var.name}-node-"
  region       = var.region
  machine_type = var.node_types[0]
  tags         = ["${var.name}-node"]
  disk {
    source_image = var.node_image
    disk_size_gb = 100
    boot         = true
  }
  network_interface {
    subnetwork = google_compute_subnetwork.main.id
  }
  scheduling {
    provisioning_model          = "SPOT"
    preemptible                 = true
    automatic_restart           = false
    on_host_maintenance         = "TERMINATE"
    instance_termination_action = "DELETE"
  }
  service_account {
    email  = google_service_account.node.email
    scopes = ["cloud-platform"]
  }
  metadata = {
    block-project-ssh-keys = "true"
    user-data              = local.node_config
  }
  lifecycle {
    create_before_destroy = true
  }
}

resource "google_compute_region_instance_group_manager" "nodes" {
  name               = "${var.name}-nodes"
  region             = var.region
  base_instance_name = "${var.name}-node"
  target_size        = var.node_count
  version {
    instance_template = google_compute_region_instance_template.node.self_link
  }
  distribution_policy_target_shape = "ANY"
  instance_flexibility_policy {
    instance_selections {
      name          = "any"
      machine_types = var.node_types
    }
  }
  update_policy {
    type                         = "OPPORTUNISTIC"
    minimal_action               = "REPLACE"
    instance_redistribution_type = "NONE"
    max_surge_fixed              = 0
    max_unavailable_fixed        = max(3, length(data.google_compute_zones.all.names)) # not less than zones: Google refuses that
  }
  lifecycle {
    ignore_changes = [target_size]
  }
}

resource "google_tpu_v2_vm" "node" {
  provider         = google-beta
  count            = var.tpu_type == "" ? 0 : var.tpu_count
  name             = "${var.name}-tpu-${count.index + 1}"
  zone             = var.tpu_zone
  accelerator_type = var.tpu_type
  runtime_version  = var.tpu_runtime
  tags             = ["${var.name}-node"]
  network_config {
    network             = google_compute_network.main.id
    subnetwork          = google_compute_subnetwork.main.id
    enable_external_ips = false
  }
  scheduling_config {
    preemptible = false
    spot        = true
  }
  service_account {
    email = google_service_account.node.email
    scope = ["https://www.googleapis.com/auth/cloud-platform"]
  }
  metadata = {
    user-data = local.node_config
  }
}
