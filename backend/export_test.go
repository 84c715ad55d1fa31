package backend

import (
	"context"
	"io"

	"github.com/gomlx/compute"
)

// OnSystem lets o look for devices in the files under root.
func OnSystem(root string, o Options) Options {
	o.root = root
	return o
}

// ProbeWrong is ProbeCommand with a reference that is off.
func ProbeWrong(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	return probeCommand(ctx, args, stdin, stdout, stderr, func(b compute.Backend) ([]part, error) {
		answer, err := solve(b)
		if err == nil {
			answer[len(answer)-1].values[7] += 0.01
		}
		return answer, err
	})
}

// AddUnknownFlag gives XLA a flag for GPUs that it does not know.
func AddUnknownFlag() {
	devices[0].flags = append(devices[0].flags, xlaFlag{name: "xla_no_such_flag", value: "1"})
}
