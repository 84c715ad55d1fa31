// Package spot hears from a cloud that this machine is going to be taken away, or may be.
//
// # How
//
// Each cloud has a service on the machine's own network that tells it: AWS's instance
// metadata service is asked every two seconds, Google's answers when something changes,
// Azure's scheduled events are asked for every second.
//
// # Failure
//
// A service that does not answer is asked again, for ever: notices are best effort on
// every cloud, and nothing may depend on one. Watch never ends a job by itself.
//
// # Who decides
//
// Whoever is told: usually to save and leave, within the time that is left.
package spot

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Cloud is whose machine this is.
type Cloud string

// The clouds, by a flag's words.
const (
	None   Cloud = "off" // none that tells
	AWS    Cloud = "aws"
	Google Cloud = "gcp"
	Azure  Cloud = "azure"
)

// ParseCloud reads a flag's value; auto is what Detect finds.
func ParseCloud(text string) (Cloud, error) {
	switch c := Cloud(text); c {
	case "auto":
		return Detect(), nil
	case None, AWS, Google, Azure:
		return c, nil
	}
	return None, fmt.Errorf("%q is not one of auto, aws, gcp, azure, off", text)
}

// Notice is what a cloud says of this machine.
type Notice struct {
	Cloud Cloud
	Event string    // in the cloud's words
	At    time.Time // when; zero if it does not say
	Leave bool      // the machine goes; otherwise it is at risk, or pauses
}

// String tells a notice to people.
func (n Notice) String() string {
	text := fmt.Sprintf("%s: %s", n.Cloud, n.Event)
	if !n.At.IsZero() {
		text += " at " + n.At.UTC().Format("15:04:05 MST")
	}
	return text
}

// Watch calls told, from one goroutine at a time, with each notice of a cloud once,
// until ctx ends.
func Watch(ctx context.Context, c Cloud, told func(Notice)) {
	var mu sync.Mutex
	seen := map[Notice]bool{}
	once := func(n Notice) {
		mu.Lock()
		defer mu.Unlock()
		if !seen[n] && ctx.Err() == nil {
			seen[n] = true
			told(n)
		}
	}
	switch c {
	case AWS:
		watchAWS(ctx, once)
	case Google:
		watchGoogle(ctx, once)
	case Azure:
		watchAzure(ctx, azureEndpoint, once)
	}
}

// Detect says whose machine this is, by what its firmware says; it asks no network.
func Detect() Cloud { return detect("/sys/class/dmi/id") }

func detect(dir string) Cloud {
	read := func(name string) string {
		b, _ := os.ReadFile(filepath.Join(dir, name)) // absent, or not for everybody: not told
		return strings.TrimSpace(string(b))
	}
	switch vendor := read("sys_vendor"); {
	case vendor == "Amazon EC2", strings.Contains(read("product_version"), "amazon"): // Nitro, Xen
		return AWS
	case vendor == "Google", read("product_name") == "Google Compute Engine":
		return Google
	case read("chassis_asset_tag") == "7783-7084-3265-9085-8269-3286-77": // every Azure machine's
		return Azure
	}
	return None
}

// askPause is between two questions. AWS gives two minutes' notice, and advises to ask
// every five seconds.
const askPause = 2 * time.Second

// every calls ask at once and then again and again.
func every(ctx context.Context, pause time.Duration, ask func()) {
	t := time.NewTicker(pause)
	defer t.Stop()
	for ctx.Err() == nil {
		ask()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
	}
}
