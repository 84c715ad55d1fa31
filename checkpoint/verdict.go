package checkpoint

import "carillon/allreduce"

// Verdict is what a job's evaluations have come to, where the best state counts
// (load_best_model_at_end). Whoever hears of the same evaluations in order comes to
// the same one: it compares integers.
type Verdict struct {
	Step  uint64 `json:"step"`           // of the newest evaluation that counts; 0: none does yet
	Best  Eval   `json:"best"`           // the lowest held-out loss; of equals the earliest
	Since int    `json:"since"`          // evaluations after the best one
	Name  string `json:"name,omitempty"` // of the checkpoint with the best state, once that is whole
}

// After is the verdict once e has come, whose step is above v's.
func (v Verdict) After(e Eval) Verdict {
	if v.Step > 0 && !e.better(v.Best) {
		v.Step, v.Since = e.Step, v.Since+1
		return v
	}
	return Verdict{Step: e.Step, Best: e}
}

// better says whether e's loss is lower. All evaluations of a job are of the same
// examples, so that sums can be compared; one that is not finite is the worst.
func (e Eval) better(than Eval) bool {
	bad, theirs := e.Tail[allreduce.BadLoss], than.Tail[allreduce.BadLoss]
	return bad < theirs || bad == theirs && e.Tail[allreduce.Loss] < than.Tail[allreduce.Loss]
}
