package corpus

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"unicode/utf8"
)

// stretch is the size from which a plain text is cut at the next empty line, so
// that part of one long text can be held out.
const stretch = 16 << 10

// readText reads a plain text file as a run of stretches, which go on one in
// the next: no end of text comes between.
func readText(path string) ([]Example, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if err := textual(data); err != nil {
		return nil, err
	}
	var examples []Example
	for len(data) > 0 {
		n := len(data)
		if n > stretch {
			if at := bytes.Index(data[stretch:], []byte("\n\n")); at >= 0 {
				n = stretch + at + 2
			}
		}
		from := fmt.Sprintf("%s, stretch %d", filepath.Base(path), len(examples)+1)
		examples = append(examples, Example{Text: string(data[:n]), Group: from, From: from, Continued: n < len(data)})
		data = data[n:]
	}
	return examples, nil
}

// textual is an error for what is no UTF-8 text.
func textual(data []byte) error {
	if bytes.HasPrefix(data, []byte{0xFF, 0xFE}) || bytes.HasPrefix(data, []byte{0xFE, 0xFF}) {
		return errors.New("UTF-16: want UTF-8")
	}
	if utf8.Valid(data) {
		return nil
	}
	line := 1
	for len(data) > 0 {
		r, n := utf8.DecodeRune(data)
		if r == utf8.RuneError && n == 1 {
			break
		}
		if r == '\n' {
			line++
		}
		data = data[n:]
	}
	return fmt.Errorf("line %d: not UTF-8", line)
}
