package jinja

import (
	"bufio"
	"encoding/json"
	"os"
	"strings"
	"sync"
	"testing"
)

// values are what the templates of testdata are rendered with.
func values() map[string]any {
	said := func(role, content string) Dict { return Dict{{"role", role}, {"content", content}} }
	return map[string]any{
		"messages":  []any{said("system", " Sys \n"), said("user", `Hi <b>"q" é`), said("assistant", "Hello!"), said("user", "Bye")},
		"bos_token": "<s>", "eos_token": "</s>", "add_generation_prompt": true,
	}
}

func render(source string, values map[string]any) (string, error) {
	t, err := Parse(source)
	if err != nil {
		return "", err
	}
	return t.Render(values)
}

// What Jinja2 3.1.6 makes of each template, with the settings of chat templates;
// and where it makes an error, so do we.
func TestSameAsJinja2(t *testing.T) {
	f, err := os.Open("testdata/jinja2.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var c struct{ Template, Text, Error string }
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		got, err := render(c.Template, values())
		if got != c.Text || (err != nil) != (c.Error != "") {
			t.Errorf("%s\ngot  %q, %v\nwant %q, %s", c.Template, got, err, c.Text, c.Error)
		}
	}
}

// What is not known is an error that names it and its line, when the template is
// read if it can be told by then.
func TestWhatIsNotKnownIsNamed(t *testing.T) {
	for _, tt := range []struct{ template, want string }{
		{"\n{% include 'x' %}", `line 2: tag "include" is not known`},
		{"{% import '/etc/passwd' as p %}", `tag "import"`},
		{"{% extends 'x' %}", `tag "extends"`},
		{"{% block a %}{% endblock %}", `tag "block"`},
		{"{% do x %}", `tag "do"`},
		{"{% for m in messages recursive %}{% endfor %}", "recursive loops"},
		{"{{ 'a' | groupby('x') }}", `filter "groupby" is not known`},
		{"{{ ['a'] | map('nope') | list }}", `filter "nope" is not known`},
		{"{{ 'a' is nope }}", `test "nope" is not known`},
		{"{{ 'a' is eq }}", `test "eq" takes 1 values, not 0`},
		{"{{ 'a'.center(3) }}", "center (not defined) cannot be called"},
		{"{{ lipsum() }}", "lipsum (not defined) cannot be called"},
		{"{{ messages.append(1) }}", "append() would change a value"},
		{"{{ ''.__class__.__mro__ }}", "__class__ is not defined, so it has no __mro__"},
		{"{{ f(*x) }}", "arguments by * and **"},
		{"{{ messages[0].items }}", "items() cannot be written as text"},
		{"{{ '\\N{DASH}' }}", "by name"},
		{"{{ '\\ud800' }}", "no code point"},
		{"{{ 12345678901234567890 }}", `"12345678901234567890" is not a whole number`},
		{"{{ 'a' is string is defined }}{% if %}", "line 1"},
		{"{{ strftime_now('%Q') }}", "strftime_now: %Q is not known"},
		{"{{ raise_exception('roles must alternate') }}", "line 1: the template refuses: roles must alternate"},
		{"{% if true %}\n\n", "no {% endif %}"},
		{"a\n{# b", "line 2: comment {# without #}"},
		{"{{ 'a", "unexpected"},
		{"{{ nope.x }}", "nope is not defined, so it has no x"},
	} {
		if got, err := render(tt.template, values()); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %q, err = %v; want %q", tt.template, got, err, tt.want)
		}
	}
}

func TestADayStandsStill(t *testing.T) {
	got, err := render("{{ strftime_now('%d %b %Y %H:%M%%') }}{{ strftime_now is defined }}", nil)
	if want := "26 Jul 2024 00:00%True"; err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

// A template that never ends, or that fills the memory, is an error soon.
func TestWorkIsBounded(t *testing.T) {
	deep := func(open, end string) string { return strings.Repeat(open, 10000) + "1" + strings.Repeat(end, 10000) }
	for name, template := range map[string]string{
		"loops in loops":         "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
		"a long range":           "{{ range(1000000000000) | length }}",
		"a macro in itself":      "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
		"two macros":             "{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}{{ f() }}{% endmacro %}{{ f() }}",
		"a macro that calls two": "{% macro f(n) %}{% if n > 0 %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(90) }}",
		"doubled text":           "{% set n = namespace(x='ab') %}{% for i in range(100) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
		"doubled by replace":     "{% set n = namespace(x='ab') %}{% for i in range(100) %}{% set n.x = n.x | replace('', n.x) %}{% endfor %}",
		"doubled list":           "{% set n = namespace(x=[1]) %}{% for i in range(100) %}{% set n.x = n.x + n.x %}{% endfor %}",
		"doubled by format":      "{% set n = namespace(x='ab') %}{% for i in range(100) %}{% set n.x = '%s%s' % (n.x, n.x) %}{% endfor %}",
		"doubled by a list":      "{% set n = namespace(x=[1]) %}{% for i in range(90) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x }}",
		"doubled JSON":           "{% set n = namespace(x=[1]) %}{% for i in range(90) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x | tojson }}",
		"compared lists":         "{% set n = namespace(x=[1], y=[1]) %}{% for i in range(90) %}{% set n.x = [n.x, n.x] %}{% set n.y = [n.y, n.y] %}{% endfor %}{{ n.x == n.y }}",
		"repeated text":          "{{ 'a' * 1000000000000 }}",
		"repeated list":          "{{ ([0] * 1000000000000) | length }}",
		"much output":            "{% set x = 'a' * 1000000 %}{% for i in range(1000) %}{{ x }}{% endfor %}",
		"indented JSON":          "{% set n = namespace(x=[1]) %}{% for i in range(90) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x | tojson(indent=1000) }}",
		"deep brackets":          "{{ " + deep("(", ")") + " }}",
		"deep lists":             "{{ " + deep("[", "]") + " }}",
		"deep not":               "{{ " + deep("not ", "") + " }}",
		"deep signs":             "{{ " + deep("-", "") + " }}",
		"deep tags":              deep("{% if 1 %}", "{% endif %}"),
		"a long else if":         "{% if 0 %}" + deep("{% elif 0 %}", "") + "{% endif %}",
		"a long template":        strings.Repeat("a", maxSource+1),
	} {
		t.Run(name, func(t *testing.T) {
			parsed, err := Parse(template)
			if err != nil {
				return
			}
			if got, err := parsed.render(nil, maxSteps/16); err == nil {
				t.Errorf("%d bytes of text and no error", len(got))
			}
		})
	}
}

func TestATemplateIsSharedByGoroutines(t *testing.T) {
	template, err := Parse("{% set n = namespace(x=0) %}{% for m in messages %}{% set n.x = n.x + 1 %}{% endfor %}{{ n.x }}{% filter upper %}a{% endfilter %}")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if got, err := template.Render(values()); got != "4A" || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	all.Wait()
}

func FuzzTemplate(f *testing.F) {
	file, err := os.Open("testdata/jinja2.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var c struct{ Template string }
		if json.Unmarshal(lines.Bytes(), &c) == nil {
			f.Add(c.Template)
		}
	}
	f.Fuzz(func(t *testing.T, source string) {
		if text, err := render(source, values()); err != nil && text != "" {
			t.Errorf("%q: both a text and %v", source, err)
		}
	})
}
