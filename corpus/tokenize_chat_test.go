package corpus

import (
	"strings"
	"testing"

	"carillon/job"
	"carillon/shard"
	"carillon/tokenizer"
)

// said writes what of a row is learnt.
func said(tok *tokenizer.Tokenizer, x shard.Example) string {
	var learnt []int32
	for _, l := range x.Labels {
		if l != shard.Ignore {
			learnt = append(learnt, l)
		}
	}
	return tok.Decode(learnt)
}

func TestConversations(t *testing.T) {
	tok := bytewise(t, end, "<|im_start|>", "<|im_end|>")
	strict := file(t, "strict.jinja", `{% for m in messages %}{% if m.role == "user" and not loop.first and loop.previtem.role == "user" %}{{ raise_exception("two users") }}{% endif %}{{ m.role }}:{{ m.content }}<|im_end|>{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}`)
	talk := func(turns ...string) Example {
		x := Example{Kind: TypeMessages, From: "x.jsonl:7"}
		for i, text := range turns {
			x.Messages = append(x.Messages, Message{[]string{"user", "assistant"}[i%2], text})
		}
		return x
	}
	whole := func(x Example) int {
		n := 0
		for _, m := range x.Messages {
			n += 1 + len(m.Role+"\n"+m.Content) + 1 + len("\n")
		}
		return n
	}
	long := talk("a", "one", "b", "two")
	for _, tt := range []struct {
		name   string
		spec   job.Spec
		x      Example
		want   string
		report Report
	}{
		{"all turns", job.Spec{SequenceLen: 200}, long, "one<|im_end|>two<|im_end|>", Report{}},
		{"the last turn", job.Spec{SequenceLen: 200, MaskHistory: true}, long, "two<|im_end|>", Report{}},
		{"cut", job.Spec{SequenceLen: whole(long) - 8, ExcessLengthStrategy: "truncate"}, long, "one<|im_end|>", Report{Truncated: 1}},
		{"cut to nothing", job.Spec{SequenceLen: whole(long) - 8, ExcessLengthStrategy: "truncate", MaskHistory: true}, long, "", Report{Dropped: 1}},
		{"too long", job.Spec{SequenceLen: whole(long) - 1}, long, "", Report{Dropped: 1}},
		{"nobody answers", job.Spec{SequenceLen: 200, OnBadRow: "skip"}, talk("a"), "", Report{Unusable: 1, FirstUnusable: "x.jsonl:7: nothing to learn: chat template chatml writes nothing that the assistant says"}},
		{"refused", job.Spec{SequenceLen: 200, OnBadRow: "skip", ChatTemplate: strict},
			Example{Kind: TypeMessages, From: "x.jsonl:7", Messages: []Message{{"user", "a"}, {"user", "b"}, {"assistant", "c"}}}, "", Report{Unusable: 1, FirstUnusable: "two users"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.spec.ChatTemplate == "" {
				tt.spec.ChatTemplate = "chatml"
			}
			out, report, err := tokenize(t, tok, tt.spec, apart(tt.x), talk("", "x"))
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, x := range out {
				if x.HeldOut {
					got = said(tok, x)
				}
			}
			if got != tt.want || report.Truncated != tt.report.Truncated || report.Dropped != tt.report.Dropped || report.Unusable != tt.report.Unusable {
				t.Errorf("learnt %q, want %q; report %+v", got, tt.want, report)
			}
			if want := tt.report.FirstUnusable; !strings.Contains(report.FirstUnusable, want) {
				t.Errorf("the first unusable one: %q, want %q", report.FirstUnusable, want)
			}
		})
	}
	if _, _, err := tokenize(t, tok, job.Spec{SequenceLen: 200, ChatTemplate: "chatml"}, talk("a")); err == nil || !strings.Contains(err.Error(), "x.jsonl:7: nothing to learn") {
		t.Errorf("err = %v; want one that names the place", err)
	}
}
