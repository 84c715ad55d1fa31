package child

import (
	"net"
	"slices"
	"strconv"
	"testing"
)

func TestFreePorts(t *testing.T) {
	addrs, err := FreePorts(3)
	if err != nil {
		t.Fatal(err)
	}
	var ports []int
	for _, a := range addrs {
		l, err := net.Listen("tcp", a)
		if err != nil {
			t.Error(err)
			continue
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	if want := []int{ports[0], ports[0] + 1, ports[0] + 2}; !slices.Equal(ports, want) || ports[2] > highestPort+3 {
		t.Errorf("ports %v, want three beside each other below %d", ports, highestPort)
	}
	if _, err := freeFrom(ports[0]-1, 2); err == nil {
		t.Error("a port is free that somebody listens on: " + strconv.Itoa(ports[0]))
	}
}
