data "google_compute_zones" "all" {
  region = var.region
  status = "UP"
}

locals {
  zones        = [for i in range(3) : data.google_compute_zones.all.names[i % length(data.google_compute_zones.all.names)]]
  coordinators = google_compute_address.coordinator[*].address
  hub_port     = 7400
  raft_port    = 7401
  node_port    = 7402
  node_devices = 16
}

resource "google_compute_network" "main" {
  name                    = var.name
  auto_create_subnetworks = false
}

resource "google_compute_subnetwork" "main" {
  name                     = var.name
  network                  = google_compute_network.main.id
  ip_cidr_range            = var.cidr
  private_ip_google_access = true
}

# Machines have no address of their own outside; they fetch the compute backend through this.
resource "google_compute_router" "main" {
  name    = var.name
  network = google_compute_network.main.id
}

resource "google_compute_router_nat" "main" {
  name                               = var.name
  router                             = google_compute_router.main.name
  nat_ip_allocate_option             = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat = "ALL_SUBNETWORKS_ALL_IP_RANGES"
}

# The coordinators' addresses are fixed, so that every machine knows them beforehand.
resource "google_compute_address" "coordinator" {
  count        = 3
  name         = "${var.name}-c${count.index + 1}"
  address_type = "INTERNAL"
  subnetwork   = google_compute_subnetwork.main.id
}

resource "google_compute_firewall" "hub" {
  name        = "${var.name}-hub"
  network     = google_compute_network.main.id
  source_tags = ["${var.name}-node", "${var.name}-coordinator"]
  target_tags = ["${var.name}-coordinator"]
  allow {
    protocol = "tcp"
    ports    = [tostring(local.hub_port)]
  }
}

resource "google_compute_firewall" "hub_from_users" {
  count         = length(var.user_cidrs) > 0 ? 1 : 0
  name          = "${var.name}-users"
  network       = google_compute_network.main.id
  source_ranges = var.user_cidrs
  target_tags   = ["${var.name}-coordinator"]
  allow {
    protocol = "tcp"
    ports    = [tostring(local.hub_port)]
  }
}

resource "google_compute_firewall" "raft" {
  name        = "${var.name}-raft"
  network     = google_compute_network.main.id
  source_tags = ["${var.name}-coordinator"]
  target_tags = ["${var.name}-coordinator"]
  allow {
    protocol = "tcp"
    ports    = [tostring(local.raft_port)]
  }
}

resource "google_compute_firewall" "nodes" {
  name        = "${var.name}-nodes"
  network     = google_compute_network.main.id
  source_tags = ["${var.name}-node"]
  target_tags = ["${var.name}-node"]
  allow {
    protocol = "tcp"
    ports    = ["${local.node_port}-${local.node_port + local.node_devices - 1}"]
  }
}
