package coordinator

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"carillon/objstore"
)

// Gauges are what a coordinator tells Prometheus.
type Gauges struct {
	registry *prometheus.Registry
	calls    *prometheus.HistogramVec
	bytes    *prometheus.CounterVec
}

// NewGauges makes them; nothing is told before Serve.
func NewGauges() *Gauges {
	g := &Gauges{
		registry: prometheus.NewRegistry(),
		calls: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "carillon_store_call_seconds", Help: "Calls of the object store by this coordinator.", Buckets: prometheus.ExponentialBuckets(0.002, 4, 8),
		}, []string{"call", "outcome"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "carillon_store_bytes_total", Help: "Bytes that calls of the object store were about.",
		}, []string{"call"}),
	}
	g.registry.MustRegister(g.calls, g.bytes, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return g
}

// Count is an objstore.Counter.
func (g *Gauges) Count(call, outcome string, took time.Duration, bytes int64) {
	g.calls.WithLabelValues(call, outcome).Observe(took.Seconds())
	if outcome == objstore.OK {
		g.bytes.WithLabelValues(call).Add(float64(bytes))
	}
}

// Of registers what a coordinator knows.
func (g *Gauges) Of(c *Coordinator) {
	gauge := func(name, help string, value func(Status) float64) {
		g.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			s, leads := c.now()
			if !leads && name != "carillon_leads" {
				return 0
			}
			return value(s)
		}))
	}
	gauge("carillon_leads", "1 where this coordinator leads; what follows is told by the leader alone.", func(s Status) float64 { return float64(min(s.Leader.Term, 1)) })
	gauge("carillon_step", "The highest step that a node of the job has done.", func(s Status) float64 { return float64(s.Step) })
	gauge("carillon_steps", "Steps of the whole job.", func(s Status) float64 { return float64(s.Steps) })
	gauge("carillon_saved_step", "The step that HEAD names.", func(s Status) float64 { return float64(s.Saved) })
	gauge("carillon_members", "Nodes of the roster.", func(s Status) float64 { return float64(len(s.Roster.Members)) })
	gauge("carillon_roster_count", "Rosters of this incarnation so far.", func(s Status) float64 { return float64(s.Roster.Number.Count) })
	gauge("carillon_errors", "What goes wrong now.", func(s Status) float64 { return float64(len(s.Errors)) })
	gauge("carillon_loss", "Mean loss of the newest step.", func(s Status) float64 {
		if s.Record == nil {
			return 0
		}
		return MeanLoss(s.Record.Tail)
	})
	g.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "carillon_refused_total", Help: "Connections and messages that were refused.",
	}, func() float64 { return float64(c.hub.Refused()) }))
}

// now is the status as the leader gives it; leads is false where this is not.
func (c *Coordinator) now() (s Status, leads bool) {
	term, j := c.ledger.Term(), c.job()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lead == nil || c.lead.term != term {
		return Status{}, false
	}
	return c.describe(time.Now(), j), true
}

// Serve answers /metrics on a listener until ctx ends.
func (g *Gauges) Serve(ctx context.Context, l net.Listener) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(g.registry, promhttp.HandlerOpts{}))
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
