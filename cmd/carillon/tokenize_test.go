package main

import (
	"bufio"
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"

	"carillon/tokenizer"
)

// bellTokenizer writes a small tokenizer and returns its directory.
func bellTokenizer(t *testing.T) string {
	t.Helper()
	tok, err := tokenizer.TrainBPE(slices.Values([]string{"the bell rings, the bell rang"}), 262, []string{"<|endoftext|>"})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := tok.Write(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestTokenizeNamesTheLineThatIsNotUTF8(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"fine\nab\xff\n", "line 2: byte 3 (0xff) is not UTF-8"},
		{"\xff\xfea\x00", "line 1: byte 1 (0xff) is not UTF-8"}, // UTF-16
		{"\uFFFD is fine\n\xed\xa0\x80\n", "line 2: byte 1 (0xed) is not UTF-8"},
		{"a\xe6\x97", "line 1: byte 2 (0xe6) is not UTF-8"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), []string{"tokenize", bellTokenizer(t)}, strings.NewReader(tt.text), &stdout, &stderr)
		if code != 1 || !strings.Contains(stderr.String(), tt.want) {
			t.Errorf("%q: status %d, %q; want %q", tt.text, code, stderr.String(), tt.want)
		}
		if got, want := strings.Count(stdout.String(), "\n"), strings.Count(tt.want, "line 2"); got != want {
			t.Errorf("%q: %d lines come out before the error, want %d", tt.text, got, want)
		}
	}
}

// A megabyte of one word, without a line's end.
func TestALineOfAMegabyteComesBack(t *testing.T) {
	dir, text := bellTokenizer(t), strings.Repeat("bell", 1<<18)
	var ids, again, stderr bytes.Buffer
	if code := run(t.Context(), []string{"tokenize", dir}, strings.NewReader(text), &ids, &stderr); code != 0 {
		t.Fatalf("status %d: %s", code, &stderr)
	}
	if code := run(t.Context(), []string{"detokenize", dir}, &ids, &again, &stderr); code != 0 {
		t.Fatalf("status %d: %s", code, &stderr)
	}
	if again.String() != text+"\n" {
		t.Errorf("%d bytes come back, want %d and a line's end", again.Len(), len(text))
	}
}

// Whoever writes a line gets its ids before writing the next.
func TestTokenizeAnswersEachLineAtOnce(t *testing.T) {
	in, write := io.Pipe()
	read, out := io.Pipe()
	done := make(chan int)
	go func() {
		code := run(t.Context(), []string{"tokenize", bellTokenizer(t)}, in, out, io.Discard)
		out.Close()
		done <- code
	}()
	answers := bufio.NewScanner(read)
	for range 3 {
		io.WriteString(write, "bell\n")
		if !answers.Scan() {
			t.Fatal("no answer")
		}
	}
	write.Close()
	if code := <-done; code != 0 || answers.Scan() {
		t.Errorf("status %d, more output %q", code, answers.Text())
	}
}
