package node

import (
	"crypto/sha256"

	"carillon/backend"
	"carillon/job"
	"carillon/model"
	"carillon/shard"
	"carillon/train"
)

// learner lets a model's session be a train.Learner.
type learner struct {
	backend *backend.Backend
	model   *model.Model
	session *model.Session
}

var _ train.Learner = (*learner)(nil)

func (l *learner) Upload(flat []float32) error { return l.session.Upload(flat) }

func (l *learner) Gradient(b *shard.Batch, dropout job.Key, grad []float32) (float32, error) {
	return l.session.Gradient(input(b), dropout, grad)
}

func (l *learner) Loss(b *shard.Batch) (float32, error) { return l.session.Loss(input(b)) }

func (l *learner) ReadBack(name string) ([]float32, error) { return l.session.ReadBack(name) }

func input(b *shard.Batch) model.Input {
	return model.Input{
		Rows: b.Rows, Len: b.Len, Tokens: b.Tokens, Labels: b.Labels, Mask: b.Mask,
		Targets: b.Targets, DecoderTokens: b.DecoderTokens, TargetLen: b.TargetLen,
	}
}

// warm compiles the gradient for every length of the job; then nothing is left to
// compile, and the backend keeps its memory. It returns what kind of backend this is:
// the hash of what the programs compute on a probe batch.
func (l *learner) warm(s job.Spec) ([32]byte, error) {
	kind := sha256.New()
	target := shard.PlanOf(s).TargetLen
	for _, length := range s.Buckets {
		if err := l.session.Warm(s.MicroBatchSize, length, target); err != nil {
			return [32]byte{}, err
		}
		p, err := l.session.Probe(s.MicroBatchSize, length, target, s.Seed)
		if err != nil {
			return [32]byte{}, err
		}
		kind.Write(p[:])
	}
	l.backend.Keep()
	return [32]byte(kind.Sum(nil)), nil
}

func (l *learner) params() []train.Param {
	var out []train.Param
	for _, p := range l.session.Params() {
		size := 1
		for _, d := range p.Shape {
			size *= d
		}
		out = append(out, train.Param{Name: p.Name, Offset: p.Offset, Size: size, Decay: p.Decay, Rate: p.Rate})
	}
	return out
}

func (l *learner) close() { l.backend.Close() }
