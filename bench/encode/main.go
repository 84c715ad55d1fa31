// Command encode times the tokenizer for bench/encode.py.
//
// # How
//
// encode DIR FILE reads the tokenizer of DIR and the JSON list of texts in FILE.
// For each line on standard input it encodes all texts once, on one thread, and
// prints the seconds that took, how many ids came out and a checksum of them. So
// whoever asks can have something else run in between.
//
// # Failure
//
// What cannot be read ends the program with an error.
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"runtime"
	"time"

	"carillon/tokenizer"
)

func main() {
	runtime.GOMAXPROCS(1) // the collector of garbage counts, too
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "encode:", err)
		os.Exit(1)
	}
}

func run(args []string, in io.Reader, out io.Writer) error {
	if len(args) != 2 {
		return errors.New("want DIR and FILE")
	}
	tok, err := tokenizer.Open(args[0])
	if err != nil {
		return err
	}
	texts, err := readTexts(args[1])
	if err != nil {
		return err
	}
	ids := make([][]int32, len(texts))
	for turn := bufio.NewScanner(in); turn.Scan(); {
		from := time.Now()
		for i, text := range texts {
			ids[i] = tok.Encode(text, ids[i][:0])
		}
		took := time.Since(from)
		n, sum := checksum(ids)
		if _, err := fmt.Fprintln(out, took.Seconds(), n, sum); err != nil {
			return err
		}
	}
	return nil
}

func readTexts(path string) (texts []string, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return texts, json.Unmarshal(data, &texts)
}

// checksum is the CRC-32 of all ids as 32-bit numbers, the low byte first.
func checksum(ids [][]int32) (n int, sum uint32) {
	var b []byte
	for _, list := range ids {
		b = b[:0]
		for _, id := range list {
			b = binary.LittleEndian.AppendUint32(b, uint32(id))
		}
		n += len(list)
		sum = crc32.Update(sum, crc32.IEEETable, b)
	}
	return n, sum
}
