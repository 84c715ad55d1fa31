package corpus

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// jsonLines reads an object a line. Empty lines are passed over.
type jsonLines struct {
	lines
	want string
}

func newJSONLines(name string, r *bufio.Reader) *jsonLines {
	return &jsonLines{lines{name: name, r: r}, "want one JSON object a line"}
}

func (j *jsonLines) next() (row, error) {
	for {
		line, err := j.lines.next()
		if err != nil {
			return row{}, err
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		fields, err := object(line)
		if err != nil {
			return row{}, bad(j.from(), "%w: %s", err, j.want)
		}
		return row{fields: fields, from: j.from()}, nil
	}
}

// newJSON reads an array of objects, or an object a line where the file begins
// otherwise.
func newJSON(name string, r *bufio.Reader) (records, error) {
	line := 1
	for {
		b, err := r.ReadByte()
		if err != nil {
			return nil, emptyAtEOF(name, err)
		}
		switch b {
		case '\n':
			line++
		case ' ', '\t', '\r':
		case '[':
			return &array{name: name, r: r, line: line}, nil
		default:
			l := lines{name: name, r: r, n: line - 1}
			return &jsonLines{l, "want an array of objects, or one object a line"}, r.UnreadByte()
		}
	}
}

func emptyAtEOF(name string, err error) error {
	if err == io.EOF {
		return fmt.Errorf("%s: empty: no examples in it", name)
	}
	return err
}

// object reads one JSON object, numbers as they are written.
func object(data []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, explainJSON(err, data)
	}
	if rest := bytes.TrimSpace(data[d.InputOffset():]); len(rest) > 0 {
		return nil, fmt.Errorf("%q after the end of the object, at byte %d", rest[0], len(data)-len(rest)+1)
	}
	if at := halfCharacter(data); at >= 0 {
		return nil, fmt.Errorf("half a character, %s, at byte %d", data[at:at+6], at+1)
	}
	fields, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s instead of an object", whatIs(v))
	}
	return fields, nil
}

// explainJSON says where JSON is broken.
func explainJSON(err error, data []byte) error {
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("broken JSON: it ends in the middle, after byte %d", len(data))
	case errors.As(err, &syntax):
		return fmt.Errorf("broken JSON at byte %d: %w", syntax.Offset, err)
	}
	return fmt.Errorf("broken JSON: %w", err)
}

// halfCharacter returns where an escape stands for one half of a character that
// takes two (a lone surrogate), -1 if nowhere: no text holds that, and a
// replacement would be learnt. data is JSON.
func halfCharacter(data []byte) int {
	for at := 0; at < len(data); at++ {
		next := bytes.IndexByte(data[at:], '\\')
		if next < 0 {
			return -1
		}
		at += next
		switch high, low := surrogate(data[at:]), surrogate(data[min(at+6, len(data)):]); {
		case high == 0:
			at++ // what is escaped, which may be a backslash
		case high < 0xDC00 && low >= 0xDC00:
			at += 11
		default:
			return at
		}
	}
	return -1
}

// surrogate returns the half of a character that an escape stands for, 0 if data
// does not begin with one.
func surrogate(data []byte) uint64 {
	if len(data) < 6 || data[0] != '\\' || data[1] != 'u' {
		return 0
	}
	u, err := strconv.ParseUint(string(data[2:6]), 16, 16)
	if err != nil || u < 0xD800 || u > 0xDFFF {
		return 0
	}
	return u
}
