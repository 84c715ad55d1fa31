resource "aws_s3_bucket" "store" {
  bucket = var.bucket
}

resource "aws_s3_bucket_versioning" "store" {
  bucket = aws_s3_bucket.store.id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "store" {
  bucket = aws_s3_bucket.store.id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "aws:kms"
    }
    bucket_key_enabled = true
  }
}

resource "aws_s3_bucket_public_access_block" "store" {
  bucket                  = aws_s3_bucket.store.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

# What carillon prunes stays a week as an old version, against a wrong hand.
resource "aws_s3_bucket_lifecycle_configuration" "store" {
  bucket = aws_s3_bucket.store.id
  rule {
    id     = "old-versions"
    status = "Enabled"
    filter {}
    noncurrent_version_expiration {
      noncurrent_days = 7
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
}

locals {
  store  = "s3://${aws_s3_bucket.store.id}/jobs?region=${var.region}"
  binary = trimprefix(var.binary_url, "s3://")
}

data "aws_iam_policy_document" "machines" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

# No condition on the list's prefix: S3 would answer "forbidden" where an object is missing.
data "aws_iam_policy_document" "store" {
  statement {
    actions   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
    resources = ["${aws_s3_bucket.store.arn}/jobs/*"]
  }
  statement {
    actions   = ["s3:ListBucket", "s3:GetBucketLocation"]
    resources = [aws_s3_bucket.store.arn]
  }
  statement {
    actions   = ["s3:GetObject"]
    resources = ["arn:aws:s3:::${local.binary}"]
  }
}

data "aws_secretsmanager_secret" "coordinator" {
  count = 3
  name  = var.coordinator_secrets[count.index]
}

data "aws_secretsmanager_secret" "token" {
  name = var.token_secret
}

data "aws_iam_policy_document" "coordinator_secret" {
  count = 3
  statement {
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [data.aws_secretsmanager_secret.coordinator[count.index].arn]
  }
}

data "aws_iam_policy_document" "token" {
  statement {
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [data.aws_secretsmanager_secret.token.arn]
  }
}

# Each coordinator reads its own key, and no other's.
resource "aws_iam_role" "coordinator" {
  count              = 3
  name               = "${var.name}-c${count.index + 1}"
  assume_role_policy = data.aws_iam_policy_document.machines.json
}

resource "aws_iam_role_policy" "coordinator_store" {
  count  = 3
  name   = "store"
  role   = aws_iam_role.coordinator[count.index].id
  policy = data.aws_iam_policy_document.store.json
}

resource "aws_iam_role_policy" "coordinator_secret" {
  count  = 3
  name   = "secret"
  role   = aws_iam_role.coordinator[count.index].id
  policy = data.aws_iam_policy_document.coordinator_secret[count.index].json
}

resource "aws_iam_instance_profile" "coordinator" {
  count = 3
  name  = "${var.name}-c${count.index + 1}"
  role  = aws_iam_role.coordinator[count.index].name
}

resource "aws_iam_role" "node" {
  name               = "${var.name}-node"
  assume_role_policy = data.aws_iam_policy_document.machines.json
}

resource "aws_iam_role_policy" "node_store" {
  name   = "store"
  role   = aws_iam_role.node.id
  policy = data.aws_iam_policy_document.store.json
}

resource "aws_iam_role_policy" "node_token" {
  name   = "token"
  role   = aws_iam_role.node.id
  policy = data.aws_iam_policy_document.token.json
}

resource "aws_iam_instance_profile" "node" {
  name = "${var.name}-node"
  role = aws_iam_role.node.name
}
