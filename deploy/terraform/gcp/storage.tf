resource "google_storage_bucket" "main" {
  name                        = var.bucket
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  versioning {
    enabled = true
  }
  encryption {
    default_kms_key_name = google_kms_crypto_key.bucket.id
  }
  lifecycle_rule {
    condition {
      days_since_noncurrent_time = 7
    }
    action {
      type = "Delete"
    }
  }
  depends_on = [google_kms_crypto_key_iam_member.bucket]
}

resource "google_kms_key_ring" "main" {
  name     = var.name
  location = var.region
}

resource "google_kms_crypto_key" "bucket" {
  name            = "${var.name}-bucket"
  key_ring        = google_kms_key_ring.main.id
  rotation_period = "7776000s"
}

data "google_storage_project_service_account" "storage" {}

resource "google_kms_crypto_key_iam_member" "bucket" {
  crypto_key_id = google_kms_crypto_key.bucket.id
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = "serviceAccount:${data.google_storage_project_service_account.storage.email_address}"
}

resource "google_service_account" "coordinator" {
  count      = 3
  account_id = "${var.name}-c${count.index + 1}"
}

resource "google_service_account" "node" {
  account_id = "${var.name}-node"
}

resource "google_storage_bucket_iam_member" "program" {
  count  = 4
  bucket = google_storage_bucket.main.name
  role   = "roles/storage.objectViewer"
  member = "serviceAccount:${concat(google_service_account.coordinator[*].email, [google_service_account.node.email])[count.index]}"
}

# Each coordinator reads its own key, and no other's.
resource "google_secret_manager_secret_iam_member" "coordinator" {
  count     = 3
  secret_id = var.coordinator_secrets[count.index]
  role      = "roles/secretmanager.secretAccessor"
  member    = "serviceAccount:${google_service_account.coordinator[count.index].email}"
}

resource "google_secret_manager_secret_iam_member" "store" {
  count     = 4
  secret_id = var.store_secret
  role      = "roles/secretmanager.secretAccessor"
  member    = "serviceAccount:${concat(google_service_account.coordinator[*].email, [google_service_account.node.email])[count.index]}"
}

resource "google_secret_manager_secret_iam_member" "token" {
  secret_id = var.token_secret
  role      = "roles/secretmanager.secretAccessor"
  member    = "serviceAccount:${google_service_account.node.email}"
}
