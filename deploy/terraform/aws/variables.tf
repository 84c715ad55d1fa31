variable "name" {
  description = "Name of the cluster; it begins the names of all that is made."
  type        = string
  default     = "carillon"
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,20}$", var.name))
    error_message = "Want 2 to 21 small letters, digits and -, beginning with a letter."
  }
}

variable "region" {
  description = "Region of everything."
  type        = string
}

variable "vpc_cidr" {
  description = "Addresses of the network that is made, a /16 to /20."
  type        = string
  default     = "10.42.0.0/16"
  validation {
    condition     = can(cidrsubnet(var.vpc_cidr, 4, 0))
    error_message = "Want a network such as 10.42.0.0/16."
  }
}

variable "binary_url" {
  description = "Where machines fetch the program from: s3://BUCKET/KEY in this cluster's bucket, after the first apply."
  type        = string
  validation {
    condition     = startswith(var.binary_url, "s3://")
    error_message = "Want s3://BUCKET/KEY."
  }
}

variable "binary_sha256" {
  description = "SHA-256 of the program, in hexadecimal; another one is not started."
  type        = string
  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.binary_sha256))
    error_message = "Want 64 hexadecimal digits."
  }
}

variable "bucket" {
  description = "Name of the bucket that is made, for jobs and for the program."
  type        = string
}

variable "coordinator_secrets" {
  description = "Names of three secrets in Secrets Manager, for c1, c2 and c3: each the base64 of a .tar.gz of what carillon ca issue made. Made by hand, so that no key is in Terraform's state."
  type        = list(string)
  validation {
    condition     = length(var.coordinator_secrets) == 3
    error_message = "Want three names, one for each coordinator."
  }
}

variable "token_secret" {
  description = "Name of the secret in Secrets Manager that holds the join token, as carillon ca token prints it."
  type        = string
}

variable "coordinator_type" {
  description = "Instance type of the three coordinators, which are not spot."
  type        = string
  default     = "t3.small"
}

variable "node_types" {
  description = "Instance types of the nodes; the more, the likelier that spot capacity is there."
  type        = list(string)
  default     = ["g5.xlarge", "g6.xlarge", "g4dn.xlarge", "g5.2xlarge", "g6.2xlarge"]
  validation {
    condition     = length(var.node_types) >= 3
    error_message = "Want at least three types."
  }
}

variable "node_count" {
  description = "How many nodes are wanted at first; later, aws autoscaling set-desired-capacity says it."
  type        = number
  default     = 4
}

variable "devices" {
  description = "What each node offers, as carillon node --devices has it."
  type        = string
  default     = "all"
}

variable "coordinator_ami" {
  description = "SSM parameter with the coordinators' image."
  type        = string
  default     = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
}

variable "node_ami" {
  description = "SSM parameter with the nodes' image: one with NVIDIA's driver for GPUs."
  type        = string
  default     = "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-amazon-linux-2023/latest/ami-id"
}

variable "user_cidrs" {
  description = "Addresses from which users reach the coordinators' port 7400, inside the network or through a VPN. Empty: nobody from outside."
  type        = list(string)
  default     = []
  validation {
    condition     = !contains(var.user_cidrs, "0.0.0.0/0") && !contains(var.user_cidrs, "::/0")
    error_message = "Not the whole world: name the addresses of your office or VPN."
  }
}
