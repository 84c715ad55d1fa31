data "aws_ssm_parameter" "coordinator_ami" {
  name = var.coordinator_ami
}

data "aws_ssm_parameter" "node_ami" {
  name = var.node_ami
}

resource "aws_network_interface" "coordinator" {
  count           = 3
  subnet_id       = aws_subnet.zone[count.index].id
  private_ips     = [local.coordinators[count.index]]
  security_groups = [aws_security_group.coordinators.id]
}

resource "aws_eip" "coordinator" {
  count             = 3
  domain            = "vpc"
  network_interface = aws_network_interface.coordinator[count.index].id
}

resource "aws_instance" "coordinator" {
  count                = 3
  ami                  = data.aws_ssm_parameter.coordinator_ami.value
  instance_type        = var.coordinator_type
  iam_instance_profile = aws_iam_instance_profile.coordinator[count.index].name
  primary_network_interface {
    network_interface_id = aws_network_interface.coordinator[count.index].id
  }
  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
  root_block_device {
    volume_type = "gp3"
    encrypted   = true
  }
  user_data = templatefile("${path.module}/coordinator.yaml.tftpl", {
    name    = "c${count.index + 1}"
    address = local.coordinators[count.index]
    join    = join(",", local.coordinators)
    store   = local.store
    secret  = var.coordinator_secrets[count.index]
    region  = var.region
    binary  = var.binary_url
    sha256  = var.binary_sha256
  })
  tags       = { Name = "${var.name}-c${count.index + 1}" }
  depends_on = [aws_eip.coordinator, aws_iam_role_policy.coordinator_secret, aws_iam_role_policy.coordinator_store]
  # Another image or program does not stop all three at once: README.md says how it comes in.
  lifecycle {
    ignore_changes = [ami, user_data]
  }
}

resource "aws_launch_template" "node" {
  name_prefix            = "${var.name}-node-"
  image_id               = data.aws_ssm_parameter.node_ami.value
  vpc_security_group_ids = [aws_security_group.nodes.id]
  iam_instance_profile {
    name = aws_iam_instance_profile.node.name
  }
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
  block_device_mappings {
    device_name = "/dev/xvda"
    ebs {
      volume_type = "gp3"
      volume_size = 100
      encrypted   = true
    }
  }
  user_data = base64encode(templatefile("${path.module}/node.yaml.tftpl", {
    devices = var.devices
    secret  = var.token_secret
    region  = var.region
    binary  = var.binary_url
    sha256  = var.binary_sha256
  }))
  tag_specifications {
    resource_type = "instance"
    tags          = { Name = "${var.name}-node" }
  }
}

resource "aws_autoscaling_group" "nodes" {
  name                = "${var.name}-nodes"
  min_size            = 0
  max_size            = max(var.node_count, 64)
  desired_capacity    = var.node_count
  vpc_zone_identifier = aws_subnet.zone[*].id
  capacity_rebalance  = true
  mixed_instances_policy {
    instances_distribution {
      on_demand_base_capacity                  = 0
      on_demand_percentage_above_base_capacity = 0
      spot_allocation_strategy                 = "price-capacity-optimized"
    }
    launch_template {
      launch_template_specification {
        launch_template_id = aws_launch_template.node.id
        version            = aws_launch_template.node.latest_version
      }
      dynamic "override" {
        for_each = var.node_types
        content {
          instance_type = override.value
        }
      }
    }
  }
  lifecycle {
    ignore_changes = [desired_capacity]
  }
}
