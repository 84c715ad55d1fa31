package agent

import (
	"fmt"
	"io"
	"strings"
	"sync"
)

// lines writes whole lines of several children to one writer.
type lines struct {
	mu sync.Mutex // guards w
	w  io.Writer
}

// of is what a child writes to.
func (l *lines) of(name string) io.WriteCloser { return &prefixed{to: l, name: name} }

type prefixed struct {
	to   *lines
	name string
	rest []byte
}

// Write passes whole lines on.
func (p *prefixed) Write(b []byte) (int, error) {
	p.rest = append(p.rest, b...)
	for {
		line, after, ok := strings.Cut(string(p.rest), "\n")
		if !ok {
			return len(b), nil
		}
		p.print(line)
		p.rest = []byte(after)
	}
}

// Close passes on a line that was not ended.
func (p *prefixed) Close() error {
	if len(p.rest) > 0 {
		p.print(string(p.rest))
	}
	return nil
}

func (p *prefixed) print(line string) {
	p.to.mu.Lock()
	defer p.to.mu.Unlock()
	fmt.Fprintf(p.to.w, "%s: %s\n", p.name, line)
}
