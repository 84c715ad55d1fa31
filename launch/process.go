package launch

import (
	"fmt"
	"os"
	"path/filepath"

	"carillon/child"
)

// process is a node or a coordinator, which writes to a log file.
type process struct {
	*child.Process
	log   string // path of the log
	peak  int64  // most bytes of memory taken, as far as it was seen
	again bool   // started since its predecessor ended
}

// start runs command as a child named name.
func start(name string, command, env []string, logDir string) (*process, error) {
	log := filepath.Join(logDir, name+".log")
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	p, err := child.Start(name, command, env, out)
	return &process{Process: p, log: log}, err
}

// lastWords tells in one line why it ended, and where more is said.
func (p *process) lastWords() string {
	if p.Killed() {
		return fmt.Sprintf("%v (log: %s)", p.Err(), p.log)
	}
	return p.LastWords()
}
