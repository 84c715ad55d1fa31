package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"carillon/tokenizer"
)

func tokenizeCommand() *cobra.Command {
	var f tokenizeFlags
	cmd := &cobra.Command{
		Use:   "tokenize DIR < TEXT",
		Short: "Prints the token ids of each line of text",
		Long: `Prints the token ids of each line of standard input, by the tokenizer of a model's
directory (tokenizer.json, or tokenizer.model where only that is there): one line of
ids for one line of text, as soon as it is read. The line's end is no part of the
text; everything before it is. What stands in the text and looks like a special
token becomes that token.`,
		Example: `  echo 'Hello, world' | carillon tokenize models/gpt2
  carillon tokenize models/bert --special --json < reviews.txt`,
		Args: arguments(1, 1, "DIR"),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	cmd.Flags().BoolVar(&f.special, "special", false, "add the special tokens that the model sees around a text, such as [CLS] and [SEP]")
	cmd.Flags().BoolVar(&f.json, "json", false, `print a JSON object per line: "ids", "tokens" as the vocabulary writes them, "text"`)
	return cmd
}

func detokenizeCommand() *cobra.Command {
	var f detokenizeFlags
	cmd := &cobra.Command{
		Use:   "detokenize DIR < IDS",
		Short: "Prints the text of each line of token ids",
		Long: `Prints the text that each line of token ids on standard input stands for, by the
tokenizer of a model's directory, as soon as the line is read. Ids are separated by
spaces or commas, or are a JSON list, or stand in an object as tokenize --json prints
it. A text may have several lines of its own; --json keeps each on one.`,
		Example: `  echo '15496 11 995' | carillon detokenize models/gpt2`,
		Args:    arguments(1, 1, "DIR"),
		RunE:    func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	cmd.Flags().BoolVar(&f.skip, "skip-special", false, "leave special tokens out of the text")
	cmd.Flags().BoolVar(&f.json, "json", false, `print a JSON object per line: "ids", "tokens" as the vocabulary writes them, "text"`)
	return cmd
}

// tokenizeFlags are the flags of tokenize.
type tokenizeFlags struct{ special, json bool }

func (f tokenizeFlags) run(cmd *cobra.Command, dir string) error {
	tok, err := tokenizer.Open(dir)
	if err != nil {
		return err
	}
	var ids, around []int32
	return eachLine(cmd, func(text string, w *bufio.Writer) error {
		if at := notUTF8(text); at >= 0 {
			return fmt.Errorf("byte %d (0x%02x) is not UTF-8: want text in UTF-8", at+1, text[at])
		}
		ids = tok.Encode(text, ids[:0])
		all := ids
		if f.special {
			around = tok.Single(ids, around[:0])
			all = around
		}
		if f.json {
			return printTokens(w, tok, all, text)
		}
		return printIDs(w, all)
	})
}

// detokenizeFlags are the flags of detokenize.
type detokenizeFlags struct{ skip, json bool }

func (f detokenizeFlags) run(cmd *cobra.Command, dir string) error {
	tok, err := tokenizer.Open(dir)
	if err != nil {
		return err
	}
	decode := tok.Decode
	if f.skip {
		decode = tok.DecodeText
	}
	var ids []int32
	return eachLine(cmd, func(line string, w *bufio.Writer) (err error) {
		if ids, err = readIDs(line, tok.VocabSize(), ids[:0]); err != nil {
			return err
		}
		if f.json {
			return printTokens(w, tok, ids, decode(ids))
		}
		_, err = w.WriteString(decode(ids) + "\n")
		return err
	})
}

// eachLine calls do with each line of standard input, without its end; the last
// may have none. What do writes is printed before the next line is waited for.
func eachLine(cmd *cobra.Command, do func(line string, w *bufio.Writer) error) error {
	r, w := bufio.NewReaderSize(cmd.InOrStdin(), 1<<16), bufio.NewWriterSize(cmd.OutOrStdout(), 1<<16)
	for n := 1; ; n++ {
		line, end := r.ReadString('\n')
		if end != nil && !errors.Is(end, io.EOF) {
			return errors.Join(w.Flush(), fmt.Errorf("read line %d: %w", n, end))
		}
		if end != nil && line == "" {
			return w.Flush()
		}
		if err := do(strings.TrimSuffix(line, "\n"), w); err != nil {
			return errors.Join(w.Flush(), fmt.Errorf("line %d: %w", n, err))
		}
		if r.Buffered() == 0 {
			if err := w.Flush(); err != nil {
				return err
			}
		}
	}
}

// notUTF8 returns where the first byte stands that is not UTF-8, or -1.
func notUTF8(text string) int {
	if utf8.ValidString(text) {
		return -1
	}
	for at, r := range text {
		if _, size := utf8.DecodeRuneInString(text[at:]); r == utf8.RuneError && size == 1 {
			return at
		}
	}
	return -1
}

// printIDs prints a line of ids.
func printIDs(w *bufio.Writer, ids []int32) error {
	for i, id := range ids {
		if i > 0 {
			w.WriteByte(' ')
		}
		w.Write(strconv.AppendInt(w.AvailableBuffer(), int64(id), 10))
	}
	return w.WriteByte('\n')
}

// printTokens prints a line's ids, what they are called and the text, as JSON.
func printTokens(w *bufio.Writer, tok *tokenizer.Tokenizer, ids []int32, text string) error {
	line := struct {
		IDs    []int32  `json:"ids"`
		Tokens []string `json:"tokens"`
		Text   string   `json:"text"`
	}{append([]int32{}, ids...), make([]string, len(ids)), text} // [] where there are none, not null
	for i, id := range ids {
		line.Tokens[i] = tok.Token(id)
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(line)
}

// readIDs appends the ids of a line to dst. All are below vocab.
func readIDs(line string, vocab int, dst []int32) ([]int32, error) {
	list := strings.TrimSpace(line)
	if strings.HasPrefix(list, "{") {
		var object struct{ IDs json.RawMessage }
		if err := json.Unmarshal([]byte(list), &object); err != nil || object.IDs == nil {
			return nil, fmt.Errorf(`want ids, or a JSON object with "ids", have %.60q`, list)
		}
		list = string(object.IDs)
	}
	if strings.HasPrefix(list, "[") {
		if !strings.HasSuffix(list, "]") {
			return nil, errors.New("the JSON list of ids has no end")
		}
		list = list[1 : len(list)-1]
	}
	for word := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\r' }) {
		id, err := strconv.ParseInt(word, 10, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return nil, fmt.Errorf("%.60q is no id: want whole numbers, separated by spaces or commas, or a JSON list of them", word)
		}
		if err != nil || id < 0 || id >= int64(vocab) {
			return nil, fmt.Errorf("id %s is not in the vocabulary: want 0 to %d", word, vocab-1)
		}
		dst = append(dst, int32(id))
	}
	return dst, nil
}
