package wire

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// The ports of a cluster's processes, where nothing else is said.
const (
	HubPort  = 7400 // of coordinators, for nodes, users and each other
	RaftPort = 7401 // of coordinators, for each other: always the one after the hub's
	NodePort = 7402 // of nodes, for each other; a machine's second device has the next
)

// HubURL is the URL of the coordinator at "host" or "host:port".
func HubURL(s string) (string, error) {
	addr, err := HubAddress(s)
	return "nats://" + addr, err
}

// HubAddress adds the port to "host", if there is none.
func HubAddress(s string) (string, error) {
	s = strings.TrimPrefix(strings.TrimSpace(s), "nats://")
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port = strings.Trim(s, "[]"), strconv.Itoa(HubPort)
	}
	if n, err := strconv.ParseUint(port, 10, 16); host == "" || err != nil || n == 0 || strings.ContainsAny(host, "/ @") {
		return "", fmt.Errorf("coordinator address %q: want a host, or host:port", s)
	}
	return net.JoinHostPort(host, port), nil
}

// HubURLs are the URLs of several coordinators, with commas between.
func HubURLs(list string) (urls []string, err error) {
	for s := range strings.SplitSeq(list, ",") {
		u, err := HubURL(s)
		if err != nil {
			return nil, err
		}
		urls = append(urls, u)
	}
	return urls, nil
}

// OwnHost is the address under which this machine is seen by the coordinator at a URL.
// Nothing is sent.
func OwnHost(towards string) (string, error) {
	c, err := net.Dial("udp", strings.TrimPrefix(towards, "nats://"))
	if err != nil {
		return "", fmt.Errorf("find out this machine's own address: %w; say it with --advertise", err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).IP.String(), nil
}

// Beside is the address whose port is d above another's.
func Beside(addr string, d int) (string, error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", err
	}
	port, err := strconv.Atoi(text)
	if err != nil || port+d < 1 || port+d > 65535 {
		return "", fmt.Errorf("address %q: want a port from 1 to 65535, and so that the one beside it is one too", addr)
	}
	return net.JoinHostPort(host, strconv.Itoa(port+d)), nil
}
