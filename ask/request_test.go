package ask_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"carillon/ask"
	"carillon/corpus"
	"carillon/job"
	"carillon/model"
)

// Requests are answered in their order, whoever is asked; what was said while it was
// drawn is the answer.
func TestAnswersStandInTheOrderOfTheRequests(t *testing.T) {
	be, base, adapters := several(t)
	s := openSeveral(t, be, base, adapters, job.Spec{})
	var requests []ask.Request
	for i := range 8 {
		who := []string{"prefix", "first", "", "second"}[i%4]
		requests = append(requests, ask.Request{Adapter: who, Prompt: fmt.Sprintf("ring %d", i)})
	}
	for _, sampling := range []model.Sampling{{}, {Temperature: 1, Seed: 3}} {
		said := make([]string, len(requests))
		w := ask.Writing{MaxNew: 6, Sampling: sampling, Said: func(i int, text string) { said[i] += text }}
		answers, err := s.Answer(t.Context(), requests, ask.Talk{}, w)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range requests {
			a, err := s.Get(r.Adapter)
			if err != nil {
				t.Fatal(err)
			}
			// Two at a time: that is how they were asked.
			pair := []string{requests[i%4].Prompt, requests[i%4+4].Prompt}
			want, err := a.Write(t.Context(), pair, ask.Writing{MaxNew: 6, Sampling: sampling})
			if err != nil || answers[i].Text != want[i/4] || said[i] != answers[i].Text || answers[i].Tokens == 0 {
				t.Errorf("request %d of %q: %+v, said %q; want %q, %v", i, r.Adapter, answers[i], said[i], want[i/4], err)
			}
		}
	}
}

func TestWhatIsWrongWithARequestIsNumbered(t *testing.T) {
	be, base, adapters := several(t)
	s := openSeveral(t, be, base, adapters, job.Spec{})
	for _, tt := range []struct {
		wrong ask.Request
		want  string
	}{
		{ask.Request{Adapter: "first"}, "is empty"},
		{ask.Request{Adapter: "third", Prompt: "bell"}, `no adapter "third"`},
		{ask.Request{Adapter: "first", Prompt: strings.Repeat("zq", 40)}, "context of 64"},
		{ask.Request{Adapter: "prefix", Prompt: strings.Repeat("z", 59)}, "context of 61"}, // the prefix takes 3
	} {
		requests := []ask.Request{{Prompt: "bell"}, {Adapter: "first", Prompt: "bell"}, tt.wrong}
		_, err := s.Answer(t.Context(), requests, ask.Talk{}, ask.Writing{MaxNew: 3})
		var wrong *ask.PromptError
		if !errors.As(err, &wrong) || wrong.Prompt != 2 || !strings.Contains(wrong.Reason, tt.want) {
			t.Errorf("%+v: %v; want prompt 2 and %q", tt.wrong, err, tt.want)
		}
	}
}

// A conversation is asked as the template writes it, up to where the assistant
// begins, and its answer ends with the template's end of turn.
func TestConversations(t *testing.T) {
	be, base, _ := tiny(t)
	talk := []corpus.Message{{Role: "system", Content: "ring"}, {Role: "user", Content: "bell"}}
	requests := []ask.Request{{Messages: talk}, {Prompt: "ring:bell>"}, {Prompt: "ring"}}
	s := openSeveral(t, be, base, nil, job.Spec{})
	if _, err := s.Answer(t.Context(), requests, ask.Talk{}, ask.Writing{MaxNew: 8}); err == nil || !strings.Contains(err.Error(), "has no chat template") {
		t.Errorf("a base without a template: %v", err)
	}
	template := filepath.Join(t.TempDir(), "plain.jinja")
	const source = "{% for m in messages %}{{ m.content }}{% if not loop.last %}:{% endif %}{% endfor %}{% if add_generation_prompt %}>{% endif %}"
	if err := os.WriteFile(template, []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	answers, err := s.Answer(t.Context(), requests, ask.Talk{Template: template}, ask.Writing{MaxNew: 8})
	if err != nil || answers[0].Text == "" || answers[0] != answers[1] || answers[0] == answers[2] {
		t.Errorf("%+v, %v; want the first two to be one text, and the third another", answers, err)
	}
	if _, err := s.Answer(t.Context(), []ask.Request{{Messages: []corpus.Message{}}}, ask.Talk{Template: template}, ask.Writing{MaxNew: 1}); err == nil || !strings.Contains(err.Error(), "no messages") {
		t.Errorf("no messages: %v", err)
	}
}

// Whoever stops waiting is not kept.
func TestAnswersEndWithTheirContext(t *testing.T) {
	be, base, _ := tiny(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	drawn := 0
	s := openSeveral(t, be, base, nil, job.Spec{})
	_, err := s.Answer(ctx, []ask.Request{{Prompt: "bell"}}, ask.Talk{}, ask.Writing{MaxNew: 50, Said: func(int, string) { drawn++; cancel() }})
	if !errors.Is(err, context.Canceled) || drawn > 2 { // what was held back comes at the end
		t.Errorf("%v after %d pieces of text; want the context's error after one", err, drawn)
	}
}
