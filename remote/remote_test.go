package remote

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestHostFiles(t *testing.T) {
	for _, tt := range []struct {
		text, want string
		hosts      []Host
	}{
		{"a\nb slots=4\n", "", []Host{{"a", 0}, {"b", 4}}},
		{"# all\n\nalice@a.example slots=2 max_slots=2 # DeepSpeed, Open MPI\nb:3\n", "", []Host{{"alice@a.example", 2}, {"b", 3}}},
		{"10.0.0.1\n::1\n", "", []Host{{"10.0.0.1", 0}, {"::1", 0}}},
		{"", "1: no hosts", nil},
		{"# nothing\n", "no hosts", nil},
		{"a\na slots=2\n", "2: host a stands in line 1", nil},
		{"a\nb slots=x\n", `2: slots "x"`, nil},
		{"a slots=0", `slots "0"`, nil},
		{"a gpus=4", `"gpus=4"`, nil},
		{"-oProxyCommand=x", "is no host", nil},
		{"a;reboot", "is no host", nil},
	} {
		path := filepath.Join(t.TempDir(), "hosts")
		if err := os.WriteFile(path, []byte(tt.text), 0o644); err != nil {
			t.Fatal(err)
		}
		hosts, err := ReadHosts(path)
		switch {
		case tt.want == "" && (err != nil || !slices.Equal(hosts, tt.hosts)):
			t.Errorf("%q: %v, %v; want %v", tt.text, hosts, err, tt.hosts)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), path+":")):
			t.Errorf("%q: %v; want %s:… %q", tt.text, err, path, tt.want)
		}
	}
	if got := (Host{Name: "alice@a"}).Addr(); got != "a" {
		t.Errorf("alice@a is reached at %q", got)
	}
}

func TestAllocations(t *testing.T) {
	for list, want := range map[string]string{
		"gpu1":                 "gpu1",
		"gpu[1-3]":             "gpu1 gpu2 gpu3",
		"gpu[01-03,7]-a,login": "gpu01-a gpu02-a gpu03-a gpu7-a login",
		"r[1-2]n[08-10]":       "r1n08 r1n09 r1n10 r2n08 r2n09 r2n10",
		"gpu[1":                "",
		"gpu[3-1]":             "",
		"gpu[a]":               "",
		"a,,b":                 "",
		"gpu[1-99999999]":      "",
		"x[0-9999][0-9999]":    "",
	} {
		t.Setenv("SLURM_JOB_NODELIST", list)
		hosts, err := Allocation()
		var names []string
		for _, h := range hosts {
			names = append(names, h.Name)
		}
		if got := strings.Join(names, " "); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v; want %q", list, got, err, want)
		}
	}
	t.Setenv("SLURM_JOB_NODELIST", "")
	if _, err := Allocation(); err == nil || !strings.Contains(err.Error(), "--hosts") {
		t.Errorf("outside an allocation: %v", err)
	}
	t.Setenv("SLURM_RESTART_COUNT", "2")
	if !Requeued() {
		t.Error("a second start is not seen")
	}
}

func FuzzExpand(f *testing.F) {
	f.Add("gpu[01-03,7]-a,login")
	f.Fuzz(func(t *testing.T, list string) {
		hosts, err := expand(list)
		if err == nil && (len(hosts) == 0 || slices.Contains(hosts, "")) {
			t.Errorf("%q expands to %q", list, hosts)
		}
	})
}

func FuzzHosts(f *testing.F) {
	f.Add("a slots=2\nb:3\n")
	f.Fuzz(func(t *testing.T, text string) {
		hosts, err := parseHosts(strings.NewReader(text))
		for _, h := range hosts {
			if err == nil && (h.Name == "" || h.Name[0] == '-') {
				t.Errorf("%q has host %q", text, h.Name)
			}
		}
	})
}

func TestQuoting(t *testing.T) {
	if got := quote("it's $HOME"); got != `'it'\''s $HOME'` {
		t.Errorf("%s", got)
	}
}
