output "coordinators" {
  description = "The coordinators' addresses."
  value       = join(",", local.coordinators)
}

output "next" {
  description = "What to type next, from a machine that reaches the coordinators."
  value       = <<-EOT
    export CARILLON_COORDINATORS=${join(",", local.coordinators)} CARILLON_TLS=alice
    carillon store check '${var.store}'
    carillon nodes
    carillon submit recipe.yaml --wait
  EOT
}
