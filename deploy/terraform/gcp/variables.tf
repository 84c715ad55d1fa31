variable "project" {
  description = "Project of everything."
  type        = string
}

variable "region" {
  description = "Region of everything; coordinators and nodes are spread over its zones."
  type        = string
}

variable "name" {
  description = "Name of the cluster; it begins the names of all that is made."
  type        = string
  default     = "carillon"
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,20}$", var.name))
    error_message = "Want 2 to 21 small letters, digits and -, beginning with a letter."
  }
}

variable "cidr" {
  description = "Addresses of the subnet that is made."
  type        = string
  default     = "10.43.0.0/20"
}

variable "store" {
  description = "Where jobs are kept: s3://BUCKET/PREFIX?endpoint=… of a server that passes carillon store check. Google's own storage takes conditions of another kind and does not pass."
  type        = string
  validation {
    condition     = startswith(var.store, "s3://")
    error_message = "Want s3://BUCKET/PREFIX, with ?endpoint= where it is not AWS's."
  }
}

variable "store_secret" {
  description = "Name of the secret that holds the store's credentials: two lines, AWS_ACCESS_KEY_ID=… and AWS_SECRET_ACCESS_KEY=…"
  type        = string
}

variable "bucket" {
  description = "Name of the bucket that is made, for the program and for what users export."
  type        = string
}

variable "binary_sha256" {
  description = "SHA-256 of the program (gs://BUCKET/bin/carillon), in hexadecimal; another one is not started."
  type        = string
  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.binary_sha256))
    error_message = "Want 64 hexadecimal digits."
  }
}

variable "coordinator_secrets" {
  description = "Names of three secrets, for c1, c2 and c3: each the base64 of a .tar.gz of what carillon ca issue made. Made by hand, so that no key is in Terraform's state."
  type        = list(string)
  validation {
    condition     = length(var.coordinator_secrets) == 3
    error_message = "Want three names, one for each coordinator."
  }
}

variable "token_secret" {
  description = "Name of the secret that holds the join token, as carillon ca token prints it."
  type        = string
}

variable "coordinator_type" {
  description = "Machine type of the three coordinators, which are not spot."
  type        = string
  default     = "e2-small"
}

variable "node_types" {
  description = "Machine types of the nodes; the group takes what spot capacity is there."
  type        = list(string)
  default     = ["g2-standard-4", "g2-standard-8", "g2-standard-12"]
  validation {
    condition     = length(var.node_types) >= 2
    error_message = "Want at least two types."
  }
}

variable "node_count" {
  description = "How many nodes are wanted at first; later, gcloud compute instance-groups managed resize says it."
  type        = number
  default     = 4
}

variable "devices" {
  description = "What each node offers, as carillon node --devices has it."
  type        = string
  default     = "all"
}

variable "coordinator_image" {
  description = "Image of the coordinators: one with cloud-init and gcloud."
  type        = string
  default     = "projects/ubuntu-os-cloud/global/images/family/ubuntu-2404-lts-amd64"
}

variable "node_image" {
  description = "Image of the nodes: one with cloud-init, gcloud and NVIDIA's driver for GPUs."
  type        = string
  default     = "projects/ubuntu-os-accelerator-images/global/images/family/ubuntu-accelerator-2404-amd64-with-nvidia-570"
}

variable "tpu_type" {
  description = "Accelerator type of TPU nodes, such as v5litepod-4; empty: none."
  type        = string
  default     = ""
}

variable "tpu_count" {
  description = "How many TPU nodes are wanted, where tpu_type is given."
  type        = number
  default     = 1
}

variable "tpu_zone" {
  description = "Zone of the TPU nodes; few zones have any."
  type        = string
  default     = ""
}

variable "tpu_runtime" {
  description = "Runtime version of the TPU nodes."
  type        = string
  default     = "v2-alpha-tpuv5-lite"
}

variable "user_cidrs" {
  description = "Addresses from which users reach the coordinators' port 7400. Empty: nobody from outside the network."
  type        = list(string)
  default     = []
  validation {
    condition     = !contains(var.user_cidrs, "0.0.0.0/0") && !contains(var.user_cidrs, "::/0")
    error_message = "Not the whole world: name the addresses of your office or VPN."
  }
}
