package spot

import (
	"context"
	"net/http"
	"sync"
	"time"

	"cloud.google.com/go/compute/metadata"
)

// googlePatience is longer than the service takes to answer that nothing has changed.
const googlePatience = 90 * time.Second

// watchGoogle subscribes to the metadata server (GCE_METADATA_HOST says where, if
// elsewhere) for a preemption, of which there are 30 seconds' notice, and for host
// maintenance. (Google Cloud, Compute Engine: "Preemption detection", "Host maintenance
// events".)
func watchGoogle(ctx context.Context, told func(Notice)) {
	client := metadata.NewClient(&http.Client{Timeout: googlePatience})
	var wg sync.WaitGroup
	follow := func(key string, notice func(value string) (Notice, bool)) {
		wg.Go(func() {
			every(ctx, askPause, func() {
				_ = client.SubscribeWithContext(ctx, key+"?timeout_sec=60", func(_ context.Context, value string, _ bool) error {
					if n, ok := notice(value); ok {
						told(n)
					}
					return ctx.Err()
				})
			})
		})
	}
	follow("instance/preempted", func(value string) (Notice, bool) {
		return Notice{Cloud: Google, Event: "preempted", Leave: true}, value == "TRUE"
	})
	follow("instance/maintenance-event", func(value string) (Notice, bool) {
		return Notice{Cloud: Google, Event: "host maintenance (" + value + ")", Leave: value == "TERMINATE_ON_HOST_MAINTENANCE"}, value != "NONE" && value != ""
	})
	wg.Wait()
}
