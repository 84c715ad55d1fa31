package backend

import (
	"context"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// askPatience is how long a driver may take to tell what it drives.
const askPatience = 10 * time.Second

// DeviceBytes returns how much memory the device of a kind has, as its driver's own
// tool tells: of the first one, which nodes take. It is 0 where that is not known, as
// for all but CUDA.
func DeviceBytes(ctx context.Context, kind string) int64 {
	if kind != CUDA {
		return 0
	}
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	out, err := exec.CommandContext(ctx, "nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits").Output()
	if err != nil {
		return 0
	}
	return firstMebibytes(string(out))
}

// firstMebibytes reads the first line of what nvidia-smi tells, in bytes.
func firstMebibytes(out string) int64 {
	line, _, _ := strings.Cut(out, "\n")
	n, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
	if err != nil || n < 0 { // "[N/A]": the device shares the machine's
		return 0
	}
	return n << 20
}
