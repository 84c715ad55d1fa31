package model

import (
	"strings"
	"testing"

	"carillon/backend/backendtest"
	"carillon/job"
)

// prompt, prefix and projection are cases of 5 and of 4 virtual tokens.
func prompt(model string) refCase {
	return refCase{model, "prompt", job.Spec{Method: "prompt", Prompt: &job.Prompt{NumVirtualTokens: 5, PromptTuningInit: "random"}}, false, ""}
}

func prefix(model string) refCase {
	return refCase{model, "prefix", job.Spec{Method: "prefix", Prefix: &job.Prefix{NumVirtualTokens: 4, PrefixInit: "random"}}, false, ""}
}

func projection(model string) refCase {
	p := &job.Prefix{NumVirtualTokens: 4, PrefixProjection: true, EncoderHiddenSize: 24}
	return refCase{model, "prefix-projection", job.Spec{Method: "prefix", Prefix: p}, false, ""}
}

// bottleneck is a case of one of AdapterHub's configurations, with bottlenecks of a
// quarter of the model's width.
func bottleneck(model, architecture string) refCase {
	return bottlenecks(model, "adapter-"+architecture, job.Bottleneck{Architecture: architecture})
}

// bottlenecks is a case of bottlenecks with more than that to say.
func bottlenecks(model, name string, b job.Bottleneck) refCase {
	if b.ReductionFactor == 0 {
		b.ReductionFactor = 4
	}
	return refCase{model, name, job.Spec{Method: "adapter", Bottleneck: &b}, false, ""}
}

var softCases = []refCase{
	prompt("gpt2"), prefix("gpt2").onXLA(), projection("gpt2"), prefix("gpt2-cls"),
	bottleneck("gpt2", "seq_bn"), bottleneck("gpt2", "double_seq_bn"), bottleneck("gpt2", "par_bn"),
	bottlenecks("gpt2", "adapter-seq_bn-gelu-ln", job.Bottleneck{
		Architecture: "seq_bn", ReductionFactor: 8, NonLinearity: "gelu", LNBefore: true, LNAfter: true, LeaveOut: []int{0},
	}),
	prompt("llama"), prefix("llama"), projection("llama"), prefix("mistral"),
	bottleneck("llama", "seq_bn"), bottleneck("llama", "double_seq_bn"),
	prompt("t5"), prefix("t5"), projection("t5"), prompt("t5-v1_1"), bottleneck("t5-v1_1", "seq_bn"),
	bottleneck("t5", "seq_bn"), bottleneck("t5", "double_seq_bn"), bottleneck("t5", "par_bn"),
	bottlenecks("t5", "adapter-cross", job.Bottleneck{Architecture: "double_seq_bn", CrossAdapter: true}),
}

// A text that fits the base alone is refused behind a prompt, before anything is run.
func TestNoTextIsLongerThanThePromptLeaves(t *testing.T) {
	for _, c := range []refCase{prompt("gpt2"), prefix("gpt2")} {
		s := c.start(t, openModel(t, backendtest.Go(t), c.model), openFixture(t, c.model+"/"+c.name))
		err := s.Warm(1, 61, 0)
		if err == nil || !strings.Contains(err.Error(), "virtual ones before them are longer than the model's context of 64") {
			t.Errorf("%s: 61 tokens: %v", c.name, err)
		}
	}
}
