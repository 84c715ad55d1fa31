data "aws_availability_zones" "all" {
  state = "available"
}

locals {
  zones = slice(data.aws_availability_zones.all.names, 0, 3)
  # The coordinators' addresses are fixed, so that every machine knows them beforehand.
  coordinators = [for i in range(3) : cidrhost(cidrsubnet(var.vpc_cidr, 4, i), 10)]
  hub_port     = 7400
  raft_port    = 7401
  node_port    = 7402
  node_devices = 16
}

resource "aws_vpc" "main" {
  cidr_block           = var.vpc_cidr
  enable_dns_hostnames = true
  tags                 = { Name = var.name }
}

resource "aws_internet_gateway" "main" {
  vpc_id = aws_vpc.main.id
}

resource "aws_subnet" "zone" {
  count                   = 3
  vpc_id                  = aws_vpc.main.id
  cidr_block              = cidrsubnet(var.vpc_cidr, 4, count.index)
  availability_zone       = local.zones[count.index]
  map_public_ip_on_launch = true # to fetch the compute backend; nothing listens to the outside
  tags                    = { Name = "${var.name}-${local.zones[count.index]}" }
}

resource "aws_route_table" "main" {
  vpc_id = aws_vpc.main.id
  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.main.id
  }
}

resource "aws_route_table_association" "zone" {
  count          = 3
  subnet_id      = aws_subnet.zone[count.index].id
  route_table_id = aws_route_table.main.id
}

# Checkpoints do not go over the internet.
resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.main.id
  service_name      = "com.amazonaws.${var.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [aws_route_table.main.id]
}

resource "aws_security_group" "coordinators" {
  name        = "${var.name}-coordinators"
  description = "Coordinators: hub and raft"
  vpc_id      = aws_vpc.main.id
}

resource "aws_security_group" "nodes" {
  name        = "${var.name}-nodes"
  description = "Nodes: each other"
  vpc_id      = aws_vpc.main.id
}

resource "aws_vpc_security_group_ingress_rule" "hub_from_nodes" {
  description                  = "beats, and answers to them"
  security_group_id            = aws_security_group.coordinators.id
  referenced_security_group_id = aws_security_group.nodes.id
  ip_protocol                  = "tcp"
  from_port                    = local.hub_port
  to_port                      = local.hub_port
}

resource "aws_vpc_security_group_ingress_rule" "hub_from_coordinators" {
  description                  = "coordinators find each other"
  security_group_id            = aws_security_group.coordinators.id
  referenced_security_group_id = aws_security_group.coordinators.id
  ip_protocol                  = "tcp"
  from_port                    = local.hub_port
  to_port                      = local.hub_port
}

resource "aws_vpc_security_group_ingress_rule" "hub_from_users" {
  count             = length(var.user_cidrs)
  description       = "users"
  security_group_id = aws_security_group.coordinators.id
  cidr_ipv4         = var.user_cidrs[count.index]
  ip_protocol       = "tcp"
  from_port         = local.hub_port
  to_port           = local.hub_port
}

resource "aws_vpc_security_group_ingress_rule" "raft" {
  description                  = "raft"
  security_group_id            = aws_security_group.coordinators.id
  referenced_security_group_id = aws_security_group.coordinators.id
  ip_protocol                  = "tcp"
  from_port                    = local.raft_port
  to_port                      = local.raft_port
}

resource "aws_vpc_security_group_ingress_rule" "nodes" {
  description                  = "gradients, from node to node"
  security_group_id            = aws_security_group.nodes.id
  referenced_security_group_id = aws_security_group.nodes.id
  ip_protocol                  = "tcp"
  from_port                    = local.node_port
  to_port                      = local.node_port + local.node_devices - 1
}

resource "aws_vpc_security_group_egress_rule" "out" {
  for_each          = { coordinators = aws_security_group.coordinators.id, nodes = aws_security_group.nodes.id }
  description       = "to each other, the bucket and the registries"
  security_group_id = each.value
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "-1"
}
