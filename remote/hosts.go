package remote

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
)

// Host is a machine of a host file.
type Host struct {
	Name  string // as ssh takes it: host, user@host, or an alias of ssh's configuration
	Slots int    // processes on it; 0: what --devices says
}

// Addr is the host's name without a user.
func (h Host) Addr() string { return h.Name[strings.LastIndexByte(h.Name, '@')+1:] }

// ReadHosts reads a host file as DeepSpeed and MPI write it: a host a line, with slots=N
// or :N behind it; # begins a comment.
func ReadHosts(path string) ([]Host, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	hosts, err := parseHosts(f)
	if err != nil {
		return nil, fmt.Errorf("%s:%w", path, err)
	}
	return hosts, nil
}

func parseHosts(r io.Reader) (hosts []Host, err error) {
	seen := map[string]int{}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line, _, _ := strings.Cut(lines.Text(), "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		h, err := parseHost(line)
		if err != nil {
			return nil, fmt.Errorf("%d: %w", n, err)
		}
		if before := seen[h.Name]; before > 0 {
			return nil, fmt.Errorf("%d: host %s stands in line %d already; give it more slots there", n, h.Name, before)
		}
		seen[h.Name] = n
		hosts = append(hosts, h)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%d: %w", len(hosts)+1, err)
	}
	if len(hosts) == 0 {
		return nil, fmt.Errorf("1: no hosts; want a host a line, as in: gpu1 slots=2")
	}
	return hosts, nil
}

func parseHost(line string) (h Host, err error) {
	fields := strings.Fields(line)
	h.Name = fields[0]
	slots := ""
	if name, n, ok := strings.Cut(h.Name, ":"); ok && net.ParseIP(h.Name) == nil { // MPICH
		h.Name, slots = name, n
	}
	for _, field := range fields[1:] {
		key, value, ok := strings.Cut(field, "=")
		if !ok || key != "slots" && key != "max_slots" && key != "max-slots" {
			return h, fmt.Errorf("%q: want slots=N behind a host", field)
		}
		if key == "slots" {
			slots = value
		}
	}
	if slots != "" {
		if h.Slots, err = strconv.Atoi(slots); err != nil || h.Slots < 1 || h.Slots > 64 {
			return h, fmt.Errorf("slots %q of host %s: want a number from 1 to 64", slots, h.Name)
		}
	}
	if h.Name == "" || strings.HasPrefix(h.Name, "-") || strings.ContainsAny(h.Name, "'\"\\;&|<>$`") {
		return h, fmt.Errorf("%q is no host", h.Name)
	}
	return h, nil
}
