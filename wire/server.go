package wire

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	// maxPayload is the largest message: an answer of 1 MiB and its envelope.
	maxPayload = 2 << 20
	// maxPending is what the server holds for one reader before it gives it up.
	// Credits keep the data plane far below.
	maxPending = 256 << 20
	// writePatience is how long a write to a process that does not read may
	// block, on both sides of a connection.
	writePatience = 2 * time.Second
)

// startServer runs a NATS server inside this process behind a gate, listening on addr
// ("127.0.0.1:0" for any free port). adjust may change its options.
func startServer(addr string, g *gate, log *slog.Logger, adjust func(*server.Options)) (*server.Server, error) {
	opts, err := serverOptions(addr, g.identity != nil)
	if err != nil {
		return nil, err
	}
	g.guard(opts)
	if adjust != nil {
		adjust(opts)
	}
	srv, err := server.NewServer(opts)
	if err != nil {
		return nil, fmt.Errorf("configure nats server on %s: %w", addr, err)
	}
	l := &serverLog{log: log}
	g.log = l
	g.srv.Store(srv)
	srv.SetLoggerV2(l, false, false, false)
	srv.Start()
	if srv.Addr() == nil || !srv.ReadyForConnections(writePatience) {
		srv.Shutdown()
		srv.WaitForShutdown()
		return nil, fmt.Errorf("listen on %s: %w", addr, l.fatal())
	}
	return srv, nil
}

func serverOptions(addr string, encrypted bool) (*server.Options, error) {
	host, portText, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("listen address %q: %w; want host:port, for example 127.0.0.1:0", addr, err)
	}
	if !encrypted && !isLoopback(host) {
		return nil, fmt.Errorf("listen address %q is not on loopback, and there is no certificate: elsewhere everything is encrypted, so give one (carillon ca), or use 127.0.0.1", addr)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("listen address %q: port %q is not a number from 0 to 65535", addr, portText)
	}
	opts := &server.Options{
		Host: host, Port: int(port), NoSigs: true, NoSystemAccount: true,
		MaxPayload: maxPayload, MaxPending: maxPending, WriteDeadline: writePatience,
	}
	if port == 0 {
		opts.Port = server.RANDOM_PORT
	}
	return opts, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// stopServer ends a server and waits for its goroutines.
func stopServer(srv *server.Server) {
	srv.Shutdown()
	srv.WaitForShutdown()
}

// serverLog passes the server's warnings on, and keeps what it calls fatal, as
// that is how it reports a port that is taken.
type serverLog struct {
	log *slog.Logger

	violations atomic.Uint64 // of permissions

	mu   sync.Mutex // guards the fields below
	last error
}

var _ server.Logger = (*serverLog)(nil)

func (l *serverLog) fatal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil {
		return errors.New("the nats server does not become ready")
	}
	return l.last
}

// Fatalf keeps the message.
func (l *serverLog) Fatalf(format string, v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = fmt.Errorf(format, v...)
}

// Errorf passes a message on, and counts those about permissions.
func (l *serverLog) Errorf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	if strings.Contains(text, " Violation ") {
		l.violations.Add(1)
	}
	l.log.Warn("nats: " + text)
}

// Warnf passes a message on.
func (l *serverLog) Warnf(format string, v ...any) { l.log.Debug("nats: " + fmt.Sprintf(format, v...)) }

// Noticef drops the server's banner and its notes on clients.
func (l *serverLog) Noticef(string, ...any) {}

// Debugf drops the message.
func (l *serverLog) Debugf(string, ...any) {}

// Tracef drops the message.
func (l *serverLog) Tracef(string, ...any) {}
