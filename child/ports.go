package child

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strconv"
)

// Ports that children may be given lie below those that systems give to outgoing
// connections (Linux from 32768, others from 49152): one of these may be taken by a
// connection before the child listens there.
const (
	lowestPort  = 10000
	highestPort = 32000
)

// FreePorts finds n ports of the loopback interface, one after the other, that nobody
// listens on, and returns their addresses.
func FreePorts(n int) ([]string, error) {
	var errs []error
	for range 100 {
		addrs, err := freeFrom(anyPort(), n)
		if err == nil {
			return addrs, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("find %d free ports beside each other: %w", n, errors.Join(errs[:3]...))
}

// anyPort draws one: two processes that look at once shall not find the same.
func anyPort() int {
	var b [4]byte
	rand.Read(b[:]) // never fails
	return lowestPort + int(binary.LittleEndian.Uint32(b[:])%(highestPort-lowestPort))
}

func freeFrom(first, n int) (addrs []string, err error) {
	for i := range n {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(first+i))
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return nil, err
		}
		defer l.Close()
		addrs = append(addrs, addr)
	}
	return addrs, nil
}
