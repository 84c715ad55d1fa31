package ledger

import (
	"context"
	"log/slog"
	"strings"

	"github.com/hashicorp/go-hclog"
)

// logWriter passes raft's log lines on: "time [LEVEL]  raft: text: key=value".
// What raft calls information is told to who debugs only.
type logWriter struct{ log *slog.Logger }

func (w logWriter) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	level := slog.LevelDebug
	if _, rest, ok := strings.Cut(text, "["); ok {
		name, message, _ := strings.Cut(rest, "]")
		text = strings.TrimSpace(message)
		if name == "ERROR" || name == "WARN" {
			level = slog.LevelInfo // an election under way says so a dozen times
		}
	}
	w.log.Log(context.Background(), level, text)
	return len(line), nil
}

// quiet is the logger of raft-wal, which tells only what its errors tell too.
func quiet() hclog.Logger { return hclog.NewNullLogger() }
