package terraform

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"

	"carillon/wire"
)

// policy looks for what must not be.
type policy struct {
	locals *hcl.EvalContext
	wrong  []string
	ports  map[string]bool // that are open
	seen   map[string]int  // resources, by type
}

// devices is for how many nodes of a machine ports are opened.
const devices = 16

func judge(m module) []string {
	p := &policy{ports: map[string]bool{}, seen: map[string]int{}, locals: &hcl.EvalContext{
		Variables: map[string]cty.Value{}, Functions: map[string]function.Function{"tostring": stdlib.MakeToFunc(cty.String)},
	}}
	var blocks []*hclsyntax.Block
	for _, name := range slices.Sorted(maps.Keys(m)) {
		f, diags := hclsyntax.ParseConfig([]byte(m[name]), name, hcl.InitialPos)
		if diags.HasErrors() {
			return []string{diags.Error()}
		}
		blocks = append(blocks, f.Body.(*hclsyntax.Body).Blocks...)
	}
	p.learn(blocks)
	for _, b := range blocks {
		if b.Type == "resource" || b.Type == "data" {
			p.seen[b.Labels[0]]++
			p.resource(b)
		}
		if b.Type == "variable" && b.Labels[0] == "user_cidrs" {
			p.need(strings.Contains(m[b.Body.SrcRange.Filename], `!contains(var.user_cidrs, "0.0.0.0/0")`), "user_cidrs may be the whole world")
		}
	}
	p.whole()
	return p.wrong
}

func (p *policy) need(ok bool, format string, args ...any) {
	if !ok {
		p.wrong = append(p.wrong, fmt.Sprintf(format, args...))
	}
}

// learn evaluates the locals that are plain.
func (p *policy) learn(blocks []*hclsyntax.Block) {
	known := map[string]cty.Value{}
	for _, b := range blocks {
		if b.Type != "locals" {
			continue
		}
		for name, a := range b.Body.Attributes {
			if v, diags := a.Expr.Value(nil); !diags.HasErrors() {
				known[name] = v
			}
		}
	}
	p.locals.Variables["local"] = cty.ObjectVal(known)
}

// text is an attribute's value as text, "" if it is not plain.
func (p *policy) text(body *hclsyntax.Body, name string) string {
	a := body.Attributes[name]
	if a == nil {
		return ""
	}
	v, diags := a.Expr.Value(p.locals)
	if diags.HasErrors() || !v.IsWhollyKnown() {
		return ""
	}
	if s, err := convert.Convert(v, cty.String); err == nil && !s.IsNull() {
		return s.AsString()
	}
	var all []string
	if v.CanIterateElements() {
		for it := v.ElementIterator(); it.Next(); {
			_, e := it.Element()
			if s, err := convert.Convert(e, cty.String); err == nil {
				all = append(all, s.AsString())
			}
		}
	}
	return strings.Join(all, " ")
}

// inside calls fn with each block of a name, however deep.
func inside(body *hclsyntax.Body, name string, fn func(*hclsyntax.Body)) {
	for _, b := range body.Blocks {
		if b.Type == name {
			fn(b.Body)
		}
		inside(b.Body, name, fn)
	}
}

func (p *policy) resource(b *hclsyntax.Block) {
	name, body := b.Labels[0]+"."+b.Labels[1], b.Body
	p.need(!inState.MatchString(b.Labels[0]), "%s would put a secret into Terraform's state", name)
	if role := p.text(body, "role"); strings.HasPrefix(b.Labels[0], "google_") && body.Attributes["role"] != nil {
		p.need(slices.Contains(roles, role), "%s gives the role %s", name, role)
	}
	switch b.Labels[0] {
	case "aws_vpc_security_group_ingress_rule":
		p.need(!strings.Contains(p.text(body, "cidr_ipv4")+p.text(body, "cidr_ipv6"), "/0"), "%s is open to the world", name)
		p.ports[p.text(body, "from_port")+"-"+p.text(body, "to_port")] = true
		p.need(p.text(body, "ip_protocol") == "tcp", "%s is not of tcp alone", name)
	case "google_compute_firewall":
		p.need(!strings.Contains(p.text(body, "source_ranges"), "/0"), "%s is open to the world", name)
		p.need(body.Attributes["source_ranges"] != nil || body.Attributes["source_tags"] != nil, "%s lets everybody in", name)
		inside(body, "allow", func(allow *hclsyntax.Body) {
			ports := p.text(allow, "ports")
			if !strings.Contains(ports, "-") {
				ports += "-" + ports
			}
			p.ports[ports] = true
			p.need(p.text(allow, "protocol") == "tcp", "%s is not of tcp alone", name)
		})
	case "aws_security_group":
		p.need(body.Attributes["ingress"] == nil && len(body.Blocks) == 0, "%s has rules of its own", name)
	case "aws_instance":
		p.coordinators(name, body, "instance_market_options")
		p.machine(name, body)
	case "aws_launch_template":
		p.machine(name, body)
	case "google_compute_instance":
		p.coordinators(name, body, "scheduling")
		inside(body, "access_config", func(*hclsyntax.Body) { p.need(false, "%s has an address outside", name) })
	case "google_tpu_v2_vm":
		inside(body, "network_config", func(n *hclsyntax.Body) {
			p.need(p.text(n, "enable_external_ips") == "false", "%s has an address outside", name)
		})
		inside(body, "scheduling_config", func(s *hclsyntax.Body) { p.need(p.text(s, "spot") == "true", "%s is not spot", name) })
	case "aws_iam_policy_document":
		p.document(name, body)
	case "aws_s3_bucket_public_access_block":
		for _, a := range []string{"block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"} {
			p.need(p.text(body, a) == "true", "%s: %s is not true", name, a)
		}
	case "aws_s3_bucket_versioning", "google_storage_bucket":
		p.bucket(b.Labels[0], name, body)
	case "aws_autoscaling_group":
		inside(body, "instances_distribution", func(d *hclsyntax.Body) {
			p.need(p.text(d, "on_demand_percentage_above_base_capacity") == "0" && strings.Contains(p.text(d, "spot_allocation_strategy"), "capacity-optimized"), "%s is not of spot machines, taken where there is room", name)
		})
	case "google_compute_region_instance_template":
		inside(body, "scheduling", func(s *hclsyntax.Body) {
			p.need(p.text(s, "provisioning_model") == "SPOT", "%s is not spot", name)
		})
	}
}

// inState are resources whose content, a secret, Terraform keeps.
var inState = regexp.MustCompile(`_secret_version|^random_|^tls_`)

// roles are Google's that we give: to read, and to use one key.
var roles = []string{"roles/storage.objectViewer", "roles/secretmanager.secretAccessor", "roles/cloudkms.cryptoKeyEncrypterDecrypter"}

// coordinators are three, and not spot.
func (p *policy) coordinators(name string, body *hclsyntax.Body, spot string) {
	p.need(p.text(body, "count") == "3", "%s are not three", name)
	inside(body, spot, func(*hclsyntax.Body) { p.need(false, "%s may be spot machines", name) })
}

// machine is about AWS's: IMDSv2 and encrypted disks.
func (p *policy) machine(name string, body *hclsyntax.Body) {
	tokens, disks := 0, 0
	inside(body, "metadata_options", func(o *hclsyntax.Body) {
		tokens++
		p.need(p.text(o, "http_tokens") == "required" && p.text(o, "http_put_response_hop_limit") == "1", "%s allows IMDSv1, or containers to ask", name)
	})
	for _, kind := range []string{"root_block_device", "ebs"} {
		inside(body, kind, func(d *hclsyntax.Body) {
			disks++
			p.need(p.text(d, "encrypted") == "true", "%s has a disk that is not encrypted", name)
		})
	}
	p.need(tokens == 1 && disks == 1, "%s says nothing of metadata_options or its disk", name)
}

// document is about what a role may do.
func (p *policy) document(name string, body *hclsyntax.Body) {
	inside(body, "statement", func(s *hclsyntax.Body) {
		actions := p.text(s, "actions")
		p.need(actions != "" && !strings.Contains(actions, "*"), "%s allows %q: want actions by name", name, actions)
		p.need(!slices.Contains(strings.Fields(p.text(s, "resources")), "*"), "%s is about every resource", name)
	})
}

func (p *policy) bucket(kind, name string, body *hclsyntax.Body) {
	if kind == "aws_s3_bucket_versioning" {
		inside(body, "versioning_configuration", func(v *hclsyntax.Body) { p.need(p.text(v, "status") == "Enabled", "%s is off", name) })
		return
	}
	encrypted, versions, cleans := false, false, false
	inside(body, "encryption", func(e *hclsyntax.Body) { encrypted = e.Attributes["default_kms_key_name"] != nil })
	inside(body, "versioning", func(v *hclsyntax.Body) { versions = p.text(v, "enabled") == "true" })
	inside(body, "lifecycle_rule", func(*hclsyntax.Body) { cleans = true })
	p.need(encrypted && versions && cleans, "%s: encrypted %t, versions %t, lifecycle %t", name, encrypted, versions, cleans)
	p.need(p.text(body, "public_access_prevention") == "enforced", "%s can be made public", name)
}

// whole is about what must be there, and the ports that the program listens on.
func (p *policy) whole() {
	if p.seen["aws_s3_bucket"] > 0 {
		for _, kind := range []string{"aws_s3_bucket_versioning", "aws_s3_bucket_server_side_encryption_configuration", "aws_s3_bucket_lifecycle_configuration", "aws_s3_bucket_public_access_block"} {
			p.need(p.seen[kind] == p.seen["aws_s3_bucket"], "%d buckets, %d of %s", p.seen["aws_s3_bucket"], p.seen[kind], kind)
		}
	}
	want := []string{fmt.Sprintf("%d-%d", wire.HubPort, wire.HubPort), fmt.Sprintf("%d-%d", wire.RaftPort, wire.RaftPort), fmt.Sprintf("%d-%d", wire.NodePort, wire.NodePort+devices-1)}
	if got := slices.Sorted(maps.Keys(p.ports)); !slices.Equal(got, want) {
		p.need(false, "open are the ports %v, the program listens on %v", got, want)
	}
}

func TestModulesKeepTheRules(t *testing.T) {
	for _, dir := range []string{"aws", "gcp"} {
		for _, w := range judge(read(t, dir)) {
			t.Errorf("%s: %s", dir, w)
		}
	}
}

// Each rule catches what it is for.
func TestTheRulesCatch(t *testing.T) {
	for _, tt := range []struct{ dir, old, with, want string }{
		{"aws", `cidr_ipv4         = var.user_cidrs[count.index]`, `cidr_ipv4 = "0.0.0.0/0"`, "open to the world"},
		{"aws", `!contains(var.user_cidrs, "0.0.0.0/0") && `, ``, "user_cidrs may be the whole world"},
		{"aws", `http_tokens                 = "required"`, `http_tokens = "optional"`, "IMDSv1"},
		{"aws", `encrypted   = true`, `encrypted = false`, "not encrypted"},
		{"aws", `"s3:DeleteObject"]`, `"s3:*"]`, "want actions by name"},
		{"aws", `resources = [aws_s3_bucket.store.arn]`, `resources = ["*"]`, "every resource"},
		{"aws", `hub_port     = 7400`, `hub_port = 4222`, "the program listens on"},
		{"aws", `to_port                      = local.raft_port`, `to_port = 65535`, "the program listens on"},
		{"aws", `block_public_acls       = true`, `block_public_acls = false`, "block_public_acls"},
		{"aws", `status = "Enabled"`, `status = "Suspended"`, "is off"},
		{"aws", `resource "aws_s3_bucket_server_side_encryption_configuration"`, `resource "aws_s3_other"`, "0 of aws_s3_bucket_server_side_encryption_configuration"},
		{"aws", `on_demand_percentage_above_base_capacity = 0`, `on_demand_percentage_above_base_capacity = 100`, "not of spot machines"},
		{"aws", `  count                = 3`, `  count = 2`, "are not three"},
		{"aws", "  primary_network_interface {", "  instance_market_options {\n    market_type = \"spot\"\n  }\n  primary_network_interface {", "may be spot machines"},
		{"aws", `data "aws_secretsmanager_secret" "token"`, `data "aws_secretsmanager_secret_version" "token"`, "into Terraform's state"},
		{"gcp", `roles/storage.objectViewer`, `roles/storage.admin`, "gives the role roles/storage.admin"},
		{"gcp", `  service_account {`, "  network_interface {\n    access_config {}\n  }\n  service_account {", "has an address outside"},
		{"gcp", `enable_external_ips = false`, `enable_external_ips = true`, "has an address outside"},
		{"gcp", `    spot        = true`, `    spot = false`, "google_tpu_v2_vm.node is not spot"},
		{"gcp", `default_kms_key_name = google_kms_crypto_key.bucket.id`, ``, "encrypted false"},
		{"gcp", `  lifecycle_rule {`, `  cors {`, "lifecycle false"},
		{"gcp", `source_ranges = var.user_cidrs`, `source_ranges = ["0.0.0.0/0"]`, "open to the world"},
		{"gcp", `source_tags = ["${var.name}-coordinator"]`, ``, "lets everybody in"},
		{"gcp", `raft_port    = 7401`, `raft_port = 22`, "the program listens on"},
		{"gcp", `provisioning_model          = "SPOT"`, `provisioning_model = "STANDARD"`, "is not spot"},
		{"gcp", `    enabled = true`, `    enabled = false`, "versions false"},
		{"gcp", `public_access_prevention    = "enforced"`, `public_access_prevention = "inherited"`, "made public"},
	} {
		m, planted := read(t, tt.dir), false
		for _, name := range slices.Sorted(maps.Keys(m)) {
			if strings.Contains(m[name], tt.old) {
				m[name], planted = strings.Replace(m[name], tt.old, tt.with, 1), true
				break
			}
		}
		wrong := strings.Join(judge(m), "\n")
		if !planted || !strings.Contains(wrong, tt.want) {
			t.Errorf("%s instead of %s (planted: %t): found %q, want %q", tt.with, tt.old, planted, wrong, tt.want)
		}
	}
}
