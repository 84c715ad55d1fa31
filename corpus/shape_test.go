package corpus

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"carillon/job"
)

// rowsFrom makes rows of JSON objects.
func rowsFrom(t testing.TB, objects ...string) []row {
	t.Helper()
	var out []row
	for i, text := range objects {
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		r := row{from: fmt.Sprintf("x.jsonl:%d", i+1)}
		if err := d.Decode(&r.fields); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		out = append(out, r)
	}
	return out
}

// A row of each shape, with its type written and with its type guessed.
func TestShapes(t *testing.T) {
	hi := []Message{{"user", "hi"}, {"assistant", "yes"}}
	for _, tt := range []struct {
		kind, row string
		want      Example
	}{
		{"completion", `{"text":"a\nb","meta":{}}`, Example{Kind: TypeText, Text: "a\nb"}},
		{"text", `{"content":"a"}`, Example{Kind: TypeText, Text: "a"}},
		{"prompt_completion", `{"prompt":"a","completion":"b","text":3}`, Example{Kind: TypePairs, Prompt: "a", Completion: "b"}},
		{"prompt_completion", `{"prompt":"","response":"b"}`, Example{Kind: TypePairs, Completion: "b"}},
		{"alpaca", `{"instruction":"Do.","input":"this","output":"Done."}`,
			Example{Kind: TypeAlpaca, Prompt: alpacaWithInput + "\n\n### Instruction:\nDo.\n\n### Input:\nthis\n\n### Response:\n", Completion: "Done."}},
		{"alpaca", `{"instruction":"Do.","input":"","output":"Done.","text":"all of it","history":[]}`,
			Example{Kind: TypeAlpaca, Prompt: alpacaPlain + "\n\n### Instruction:\nDo.\n\n### Response:\n", Completion: "Done."}},
		{"alpaca", `{"instruction":"Do.","context":null,"response":"Done."}`,
			Example{Kind: TypeAlpaca, Prompt: alpacaPlain + "\n\n### Instruction:\nDo.\n\n### Response:\n", Completion: "Done."}},
		{"alpaca", `{"instruction":"Do.","input":"this","output":"Done.","system":"Be brief."}`,
			Example{Kind: TypeAlpaca, Prompt: "Be brief.\n\n### Instruction:\nDo.\n\n### Input:\nthis\n\n### Response:\n", Completion: "Done."}},
		{"sharegpt", `{"conversations":[{"from":"human","value":"hi"},{"from":"gpt","value":"yes"}],"tools":"[]"}`, Example{Kind: TypeShareGPT, Messages: hi}},
		{"sharegpt", `{"system":"s","conversations":[{"from":"user","value":"hi"},{"from":"function_call","value":"f()"},{"from":"observation","value":"3"}]}`,
			Example{Kind: TypeShareGPT, Messages: []Message{{"system", "s"}, {"user", "hi"}, {"assistant", "f()"}, {"tool", "3"}}}},
		{"messages", `{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"yes","tool_calls":[]}],"prompt":"hi"}`, Example{Kind: TypeMessages, Messages: hi}},
		{"chat_template", `{"conversations":[{"role":"user","content":"hi"},{"role":"assistant","content":"yes"}]}`, Example{Kind: TypeMessages, Messages: hi}},
		{"messages", `{"messages":[{"role":"user","content":[{"type":"text","text":"h"},"i"]},{"role":"assistant","content":null},{"role":"assistant","content":"yes"}]}`,
			Example{Kind: TypeMessages, Messages: []Message{{"user", "hi"}, {"assistant", ""}, {"assistant", "yes"}}}},
		{"classification", `{"text":"a","label":"good"}`, Example{Kind: TypeClassification, Text: "a", Label: "good"}},
		{"classification", `{"sentence":"a","label":1,"idx":0}`, Example{Kind: TypeClassification, Text: "a", Label: "1"}},
		{"classification", `{"text":"a","target":2.0}`, Example{Kind: TypeClassification, Text: "a", Label: "2"}},
		{"classification", `{"review":"a","label":true}`, Example{Kind: TypeClassification, Text: "a", Label: "true"}},
		{"classification", `{"text":"a","label":"1"}`, Example{Kind: TypeClassification, Text: "a", Label: "1"}},
		{"classification", `{"question":"a","sentence":"b","label":"x"}`, Example{Kind: TypeClassification, Text: "a", Text2: "b", Label: "x"}},
		{"classification", `{"premise":"a","hypothesis":"b","label":-1}`, Example{Kind: TypeClassification, Text: "a", Text2: "b", Label: "-1"}},
		{"classification", `{"text":"a","text2":"b","label":12345678901234567890}`, Example{Kind: TypeClassification, Text: "a", Text2: "b", Label: "12345678901234567000"}},
		{"regression", `{"sentence1":"a","sentence2":"b","label":3.8}`, Example{Kind: TypeRegression, Text: "a", Text2: "b", Value: 3.8}},
		{"regression", `{"text":"a","score":3}`, Example{Kind: TypeRegression, Text: "a", Value: 3}},
		{"regression", `{"text":"a","label":"-1e-3"}`, Example{Kind: TypeRegression, Text: "a", Value: -1e-3}},
		{"seq2seq", `{"source":"a","target":"b"}`, Example{Kind: TypeSeq2Seq, Prompt: "a", Completion: "b"}},
		{"seq2seq", `{"article":"a","highlights":"b","id":1}`, Example{Kind: TypeSeq2Seq, Prompt: "a", Completion: "b"}},
	} {
		for _, kind := range []string{tt.kind, ""} {
			rows := rowsFrom(t, tt.row)
			s, err := newShape(job.Dataset{Type: kind}, rows)
			if err != nil {
				t.Errorf("%s as type %q: %v", tt.row, kind, err)
				continue
			}
			got, err := s.example(rows[0])
			want := tt.want
			want.From = "x.jsonl:1"
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s as type %q:\ngot  %+v, %v\nwant %+v", tt.row, kind, got, err, want)
			}
		}
	}
}

func TestARecipeNamesFields(t *testing.T) {
	for _, tt := range []struct {
		d    job.Dataset
		row  string
		want Example
	}{
		{job.Dataset{FieldPrompt: "q", FieldCompletion: "a"}, `{"q":"x","a":"y"}`, Example{Kind: TypePairs, Prompt: "x", Completion: "y"}},
		{job.Dataset{FieldSource: "translation.en", FieldTarget: "translation.de"}, `{"translation":{"en":"x","de":"y"}}`, Example{Kind: TypeSeq2Seq, Prompt: "x", Completion: "y"}},
		{job.Dataset{FieldSource: "a.b", FieldTarget: "c"}, `{"a.b":"x","c":"y"}`, Example{Kind: TypeSeq2Seq, Prompt: "x", Completion: "y"}},
		{job.Dataset{Type: "seq2seq", FieldSource: "text"}, `{"text":"x","target":"y"}`, Example{Kind: TypeSeq2Seq, Prompt: "x", Completion: "y"}},
		{job.Dataset{FieldMessages: "turns", FieldRole: "who", FieldContent: "says"}, `{"turns":[{"who":"user","says":"x"},{"who":"bot","says":"y"}]}`,
			Example{Kind: TypeMessages, Messages: []Message{{"user", "x"}, {"assistant", "y"}}}},
		{job.Dataset{FieldText: "body", FieldLabel: "target"}, `{"body":"x","target":"good"}`, Example{Kind: TypeClassification, Text: "x", Label: "good"}},
		{job.Dataset{FieldText: "sentence1"}, `{"sentence1":"x","sentence2":"y","label":1}`, Example{Kind: TypeClassification, Text: "x", Label: "1"}},
		{job.Dataset{FieldText2: "title"}, `{"text":"x","title":"y","label":0.5}`, Example{Kind: TypeRegression, Text: "x", Text2: "y", Value: 0.5}},
		{job.Dataset{FieldText: "body"}, `{"body":"x","label":null}`, Example{Kind: TypeText, Text: "x"}},
		{job.Dataset{Type: "classification", FieldLabel: "v"}, `{"text":"x","v":"1.5"}`, Example{Kind: TypeClassification, Text: "x", Label: "1.5"}},
	} {
		if tt.want.Kind == TypeText {
			tt.d.Type = TypeText
		}
		rows := rowsFrom(t, tt.row)
		s, err := newShape(tt.d, rows)
		if err != nil {
			t.Errorf("%+v: %v", tt.d, err)
			continue
		}
		got, err := s.example(rows[0])
		tt.want.From = "x.jsonl:1"
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %+v, %v; want %+v", tt.row, got, err, tt.want)
		}
	}
}

func TestShapesThatCannotBe(t *testing.T) {
	many := make([]string, 150)
	for i := range many {
		many[i] = fmt.Sprintf(`{"text":"a","label":%d}`, i)
	}
	for _, tt := range []struct {
		d    job.Dataset
		rows []string
		want string
	}{
		{job.Dataset{}, nil, "no records"},
		{job.Dataset{}, []string{`{}`}, "with the fields none"},
		{job.Dataset{}, []string{`{"a":1,"b":2}`}, `cannot tell the type of records with the fields "a", "b": write type: with one of text (completion), prompt_completion, alpaca`},
		{job.Dataset{}, []string{`{"segments":[]}`}, `records with the field "segments" are not read (segments, each with a mask of its own)`},
		{job.Dataset{}, []string{`{"input_ids":[1],"labels":[1]}`}, `"input_ids" are not read (token ids`},
		{job.Dataset{}, []string{`{"prompt":"a","chosen":"b","rejected":"c"}`}, `"chosen" are not read (preferences`},
		{job.Dataset{}, []string{`{"tokens":["a"],"ner_tags":[1]}`}, `a label for each word`},
		{job.Dataset{}, []string{`{"messages":[{"role":"user","content":"x"}],"prompt":"a","completion":"b"}`}, `may be of type prompt_completion or messages`},
		{job.Dataset{}, []string{`{"prompt":"a","completion":"b"}`, `{"prompt":"a","completion":"b"}`, `{"messages":[{"role":"user","content":"x"}]}`},
			`records of several types: prompt_completion at x.jsonl:1, messages at x.jsonl:3; a data set has one`},
		{job.Dataset{}, []string{`{"text":"a","target":"some words"}`}, `"target" beside a text may be a class or an answer`},
		{job.Dataset{}, many, "holds 150 different whole numbers"},
		{job.Dataset{Type: "input_output"}, []string{`{"text":"a"}`}, `type "input_output" is not read (segments`},
		{job.Dataset{Type: "pygmalion"}, []string{`{"text":"a"}`}, `type "pygmalion" is not read`},
		{job.Dataset{Type: "alpacca"}, []string{`{"text":"a"}`}, `type "alpacca" is not known: want one of text (completion), prompt_completion, alpaca, sharegpt`},
		{job.Dataset{Type: "alpaca"}, []string{`{"text":"a"}`}, `no field "instruction", which type alpaca wants; there are "text" (field_instruction names another)`},
		{job.Dataset{Type: "sharegpt"}, []string{`{"conversations":[{"role":"user","content":"x"}]}`}, `no field "from", which type sharegpt wants; there are "role", "content" (message_field_role names another)`},
		{job.Dataset{Type: "text", FieldPrompt: "p"}, []string{`{"text":"a","p":"b"}`}, "field_prompt: type text has no use for it; it takes field_text"},
		{job.Dataset{FieldPrompt: "promt"}, []string{`{"a":1,"zzzzzzzz":2,"prompt":"x"}`}, `field_prompt: no field "promt" in the first records; there are "prompt", "a", "zzzzzzzz"`},
		{job.Dataset{FieldSource: "t.en", FieldTarget: "t.fr"}, []string{`{"t":{"en":"x","de":"y"}}`}, `field_target: no field "t.fr"`},
	} {
		_, err := newShape(tt.d, rowsFrom(t, tt.rows...))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v, %.80q: err = %v; want %q", tt.d, tt.rows, err, tt.want)
		}
	}
}

// Each error names where, which field, and what would be right.
func TestBadRows(t *testing.T) {
	chat := func(turns string) string { return `{"messages":[` + turns + `]}` }
	for _, tt := range []struct{ kind, good, bad, want string }{
		{"", `{"prompt":"a","completion":"b"}`, `{"prompt":"a"}`, `no field "completion", which type prompt_completion (guessed) wants; there are "prompt"`},
		{"", `{"prompt":"a","completion":"b"}`, `{"text":"a"}`, `no field "prompt"`},
		{"", `{"prompt":"a","completion":"b"}`, `{"prompt":null,"completion":"b"}`, `field "prompt" is null, want a string`},
		{"", `{"prompt":"a","completion":"b"}`, `{"prompt":3,"completion":"b"}`, `field "prompt" is the number 3, want a string`},
		{"", `{"prompt":"a","completion":"b"}`, `{"prompt":"a","completion":["b"]}`, `field "completion" is a list`},
		{"", `{"prompt":"a","completion":"b"}`, `{"prompt":"a","completion":""}`, `field "completion" is empty: nothing to learn`},
		{"", `{"text":"a"}`, `{"text":{}}`, `field "text" is an object`},
		{"", `{"text":"a"}`, `{"text":true}`, `field "text" is the boolean true`},
		{"", `{"instruction":"a","output":"b"}`, `{"instruction":"a","output":""}`, `field "output" is empty`},
		{"", `{"instruction":"a","output":"b","input":"c"}`, `{"instruction":"a","output":"b","input":7}`, `field "input" is the number 7`},
		{"", `{"instruction":"a","output":"b"}`, `{"instruction":"a","output":"b","history":[["q","a"]]}`, `"history" has earlier turns`},
		{"", chat(`{"role":"user","content":"x"}`), `{"messages":"hi"}`, `field "messages" is a string, want a list of messages`},
		{"", chat(`{"role":"user","content":"x"}`), chat(``), `field "messages" is empty`},
		{"", chat(`{"role":"user","content":"x"}`), chat(`{"role":"user","content":"x"}`), `the assistant says nothing`},
		{"", chat(`{"role":"user","content":"x"}`), chat(`{"role":"assistant","content":""}`), `the assistant says nothing`},
		{"", chat(`{"role":"user","content":"x"}`), chat(`3`), `message 1: the number 3, want an object`},
		{"", chat(`{"role":"user","content":"x"}`), chat(`{"content":"x"}`), `message 1: no field "role"; there are "content"`},
		{"", chat(`{"role":"user","content":"x"}`), chat(`{"role":1,"content":"x"}`), `message 1: field "role" is the number 1`},
		{"", chat(`{"role":"user","content":"x"}`), chat(`{"role":"critic","content":"x"}`), `message 1: field "role" is "critic", want one of assistant,`},
		{"", chat(`{"role":"user","content":"x"}`), chat(`{"role":"user"}`), `message 1: no field "content"; there are "role"`},
		{"", chat(`{"role":"user","content":"x"}`), chat(`{"role":"user","content":{}}`), `field "content" is an object, want a string, null or a list of parts`},
		{"", chat(`{"role":"user","content":"x"}`), chat(`{"role":"user","content":[{"type":"image_url"}]}`), `message 1: field "content", part 1 is of type "image_url", want text`},
		{"", chat(`{"role":"user","content":"x"}`), chat(`{"role":"user","content":[{"type":"text"}]}`), `part 1 has no text`},
		{"", chat(`{"role":"user","content":"x"}`), chat(`{"role":"user","content":"x"},{"role":"assistant","content":"","tool_calls":[{"id":1}]}`), `message 2: field "tool_calls" is not read`},
		{"", chat(`{"role":"user","content":"x"}`), chat(`{"role":"assistant","content":"x","weight":0}`), `only mask_history`},
		{"", chat(`{"role":"user","content":"x"}`), chat(`{"role":"assistant","content":"x","train":false}`), `only mask_history`},
		{"", chat(`{"role":"user","content":"x"}`), `{"messages":[{"role":"assistant","content":"x"}],"tools":[{"name":"f"}]}`, `field "tools": templates are not given tools`},
		{"", `{"messages":[{"role":"user","content":"x"}],"system":"s"}`, `{"messages":[{"role":"system","content":"x"},{"role":"assistant","content":"x"}],"system":"s"}`, `the first message is one of the system too`},
		{"", `{"text":"a","label":1}`, `{"text":"a"}`, `no field "label"`},
		{"", `{"text":"a","label":1}`, `{"text":"","label":1}`, `field "text" is empty`},
		{"", `{"text":"a","label":1}`, `{"text":"a","label":null}`, `field "label" is null, want the name or the number of a class`},
		{"", `{"text":"a","label":1}`, `{"text":"a","label":""}`, `field "label" is empty`},
		{"", `{"text":"a","label":1}`, `{"text":"a","label":[1,2]}`, `field "label" is a list`},
		{"", `{"text":"a","label":1}`, `{"text":"a","label":0.5}`, `field "label" is 0.5, a fraction`},
		{"", `{"text":"a","label":"1"}`, `{"text":"a","label":"0.5"}`, `field "label" is 0.5, a fraction`},
		{"", `{"text":"a","text2":"b","label":1}`, `{"text":"a","label":1}`, `no field "text2"`},
		{"", `{"text":"a","score":1}`, `{"text":"a","score":"high"}`, `field "score" is "high", want a number`},
		{"", `{"text":"a","score":1}`, `{"text":"a","score":"NaN"}`, `field "score" is "NaN", want a number`},
		{"", `{"text":"a","score":1}`, `{"text":"a","score":1e300}`, `field "score" is 1e300, want a number`},
		{"", `{"text":"a","score":1}`, `{"text":"a","score":true}`, `field "score" is the boolean true, want a number`},
		{"", `{"source":"a","target":"b"}`, `{"source":"a","target":""}`, `field "target" is empty`},
		{"", `{"source":"a","target":"b"}`, `{"source":"","target":"b"}`, `field "source" is empty`},
	} {
		rows := rowsFrom(t, tt.good, tt.bad)
		s, err := newShape(job.Dataset{Type: tt.kind}, rows[:1])
		if err != nil {
			t.Errorf("%s: %v", tt.good, err)
			continue
		}
		_, err = s.example(rows[1])
		var bad *badRow
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "x.jsonl:2: ") {
			t.Errorf("%s: err = %v; want %q and the line", tt.bad, err, tt.want)
		}
	}
}

func FuzzShape(f *testing.F) {
	for _, text := range []string{
		`{"text":"a"}`, `{"prompt":"a","completion":"b"}`, `{"instruction":"a","output":"b","history":[[]]}`,
		`{"messages":[{"role":"assistant","content":[{"type":"text","text":"x"}]}],"system":"s"}`,
		`{"conversations":[{"from":"gpt","value":null}]}`, `{"text":"a","label":1e400}`, `{"a":{"b":{"c":1}}}`, `{"source":"a","target":"b"}`,
	} {
		f.Add(text, text, "", "a.b.c")
		f.Add(text, `{}`, "messages", "")
	}
	f.Fuzz(func(t *testing.T, first, second, kind, field string) {
		var rows []row
		for _, text := range []string{first, second} {
			d := json.NewDecoder(strings.NewReader(text))
			d.UseNumber()
			r := row{from: "x"}
			if d.Decode(&r.fields) != nil {
				return
			}
			rows = append(rows, r)
		}
		s, err := newShape(job.Dataset{Type: kind, FieldText: field}, rows)
		if err != nil {
			return
		}
		for _, r := range rows {
			x, err := s.example(r)
			if bad := (*badRow)(nil); err != nil && !errors.As(err, &bad) {
				t.Errorf("%v is not a bad row", err)
			}
			if err == nil && x.Text == "" && x.Completion == "" && len(x.Messages) == 0 {
				t.Errorf("%v: nothing to learn in %+v", r.fields, x)
			}
		}
	})
}
