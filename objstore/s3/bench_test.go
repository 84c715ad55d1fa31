package s3_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"golang.org/x/sync/errgroup"

	"carillon/checkpoint"
	"carillon/objstore"
	"carillon/objstore/open"
	"carillon/objstore/storetest/s3test"
)

// BenchmarkBesidePlain saves and restores a checkpoint of 256 MiB in a bucket, and puts
// and gets the same bytes with the client library alone, in turns. times-plain is the
// median of how fast ours is beside that: each of our bytes is hashed twice, and what a
// checkpoint consists of is written down and made the newest.
func BenchmarkBesidePlain(b *testing.B) {
	server := s3test.Start(b, false)
	p := plain(b, server)
	store, err := open.Store(b.Context(), server.Address("ours"))
	if err != nil {
		b.Fatal(err)
	}
	for _, tt := range []struct {
		name         string
		ours, theirs func(b *testing.B, n int)
	}{
		{"save", func(b *testing.B, n int) { save(b, store, n) }, p.put},
		{"restore", func(b *testing.B, _ int) { restore(b, store) }, p.get},
	} {
		b.Run(tt.name, func(b *testing.B) {
			var ratios, seconds []float64
			for b.Loop() {
				n := len(ratios) + 1
				theirs := took(func() { tt.theirs(b, n) })
				ours := took(func() { tt.ours(b, n) })
				ratios, seconds = append(ratios, theirs/ours), append(seconds, ours)
			}
			slices.Sort(ratios)
			slices.Sort(seconds)
			b.ReportMetric(ratios[len(ratios)/2], "times-plain")
			b.ReportMetric(size/1e6/seconds[len(seconds)/2], "MB/s-ours")
			b.ReportMetric(0, "ns/op")
		})
	}
}

const size = 256 << 20

func took(do func()) float64 {
	began := time.Now()
	do()
	return time.Since(began).Seconds()
}

// state is new bytes each time.
func state(n int) []byte {
	s := bytes.Repeat([]byte("carillon"), size/8)
	for i := 0; i < len(s); i += 4096 {
		binary.LittleEndian.PutUint64(s[i:], uint64(n)<<32|uint64(i))
	}
	return s
}

// save does what a node and a leader do.
func save(b *testing.B, store objstore.Store, n int) {
	data := state(n)
	m := checkpoint.Manifest{Job: "j", Identity: "i", Step: uint64(n), Digest: strings.Repeat("0", 64), Size: size, Chunks: make([]checkpoint.Chunk, size/checkpoint.ChunkSize)}
	var g errgroup.Group
	g.SetLimit(4)
	for i, r := range checkpoint.Ranges(size) {
		g.Go(func() error {
			sum, err := checkpoint.PutChunk(b.Context(), store, "j", 0, m.Step, data[r.From:r.To])
			m.Chunks[i] = checkpoint.Chunk{Index: i, SHA256: sum, Size: r.To - r.From}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
	if _, err := checkpoint.Commit(b.Context(), store, checkpoint.Head{Incarnation: 1, Term: 1}, m); err != nil {
		b.Fatal(err)
	}
}

func restore(b *testing.B, store objstore.Store) {
	if _, state, err := checkpoint.Load(b.Context(), store, "j"); err != nil || len(state) != size {
		b.Fatal(len(state), err)
	}
}

// plainClient is the client library as people use it.
type plainClient struct {
	*minio.Client
	bucket string
}

func plain(b *testing.B, server *s3test.Server) plainClient {
	c, err := minio.New(strings.TrimPrefix(server.Endpoint, "http://"), &minio.Options{Creds: credentials.NewStaticV4(s3test.AccessKey, s3test.SecretKey, ""), Region: "us-east-1"})
	if err != nil {
		b.Fatal(err)
	}
	return plainClient{c, server.Bucket}
}

func (p plainClient) put(b *testing.B, n int) {
	if _, err := p.PutObject(b.Context(), p.bucket, fmt.Sprintf("plain/%d", n), bytes.NewReader(state(n)), size, minio.PutObjectOptions{}); err != nil {
		b.Fatal(err)
	}
}

func (p plainClient) get(b *testing.B, _ int) {
	o, err := p.GetObject(b.Context(), p.bucket, "plain/1", minio.GetObjectOptions{})
	if err != nil {
		b.Fatal(err)
	}
	defer o.Close()
	if data, err := io.ReadAll(o); err != nil || len(data) != size {
		b.Fatal(len(data), err)
	}
}
