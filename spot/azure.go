package spot

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	azureEndpoint = "http://169.254.169.254"
	azurePause    = time.Second
	// azurePatience covers the first question, which switches the events on.
	azurePatience = 150 * time.Second
)

// azureEvents is the answer of the scheduled events service.
// (Azure, "Scheduled Events for Linux VMs", version 2020-07-01.)
type azureEvents struct {
	Events []struct {
		EventType string   // Preempt, Terminate, Redeploy, Reboot or Freeze
		Resources []string // names of machines
		NotBefore string   // RFC 1123; empty once it has started
	}
}

// watchAzure asks for the events of this machine: a preemption has 30 seconds' notice.
func watchAzure(ctx context.Context, endpoint string, told func(Notice)) {
	client := &http.Client{Timeout: azurePatience, Transport: &http.Transport{}} // no proxy: the service refuses them
	name := ""
	every(ctx, azurePause, func() {
		if name == "" {
			text, err := azureSays(ctx, client, endpoint+"/metadata/instance/compute/name?api-version=2021-02-01&format=text")
			if name = strings.TrimSpace(string(text)); err != nil || name == "" {
				return
			}
		}
		text, err := azureSays(ctx, client, endpoint+"/metadata/scheduledevents?api-version=2020-07-01")
		var all azureEvents
		if err != nil || json.Unmarshal(text, &all) != nil {
			return
		}
		for _, e := range all.Events {
			if slices.Contains(e.Resources, name) {
				at, _ := time.Parse(time.RFC1123, e.NotBefore) // zero: it has started
				told(Notice{Cloud: Azure, Event: strings.ToLower(e.EventType), At: at, Leave: e.EventType != "Freeze"})
			}
		}
	})
}

func azureSays(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Metadata", "true")
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, resp.Status)
	}
	return io.ReadAll(io.LimitReader(resp.Body, 1<<20))
}
