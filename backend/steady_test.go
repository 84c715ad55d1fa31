package backend

import (
	"strings"
	"testing"
)

func TestTheUsersOwnSettingsOfTheCLibraryStay(t *testing.T) {
	for _, tt := range []struct {
		had, want string
	}{
		{"", "GLIBC_TUNABLES=glibc.malloc.arena_max=1:glibc.malloc.tcache_count=127"},
		{"glibc.rtld.nns=4", "GLIBC_TUNABLES=glibc.rtld.nns=4:glibc.malloc.arena_max=1:glibc.malloc.tcache_count=127"},
		{"glibc.malloc.hugetlb=1", ""},
	} {
		t.Setenv(mallocEnv, tt.had)
		env := SteadyEnv()
		if strings.Join(env, " ") != tt.want {
			t.Errorf("with %q: %q, want %q", tt.had, env, tt.want)
		}
	}
}
