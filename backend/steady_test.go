package backend

import (
	"strings"
	"testing"
)

func TestTheUsersOwnSettingsOfTheCLibraryStay(t *testing.T) {
	for _, tt := range []struct {
		had  string
		adds bool
	}{
		{"", true},
		{"glibc.rtld.nns=4", true},
		{"glibc.malloc.hugetlb=1", false},
	} {
		t.Setenv(mallocEnv, tt.had)
		env := SteadyEnv()
		if got := len(env) == 1 && strings.HasPrefix(env[0], mallocEnv+"="); got != tt.adds || len(env) > 1 {
			t.Errorf("with %q: %q", tt.had, env)
		}
		if tt.adds && !strings.Contains(env[0], tt.had) {
			t.Errorf("with %q: %q forgets it", tt.had, env)
		}
	}
}
