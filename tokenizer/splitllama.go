package tokenizer

// llama cuts as Llama 3's expression does (llamaStart, llamaEnd), with this many
// digits in a word at most.
func llama(text string, digits int) int {
	if n := ending(text); n > 0 {
		return n
	}
	k, n := kindAt(text)
	switch k {
	case letter:
		return run(text, n, letter)
	case number:
		return someDigits(text, n, digits)
	}
	newline := text[0] == '\r' || text[0] == '\n'
	if n < len(text) && !newline {
		next, size := kindAt(text[n:])
		switch {
		case next == letter:
			return run(text, n+size, letter)
		case next == sign && text[0] == ' ':
			return newlines(text, run(text, n+size, sign))
		}
	}
	if k == sign {
		return newlines(text, run(text, n, sign))
	}
	return lines(text)
}

// ending returns the length of an English ending such as 're or 'RE, or 0.
func ending(text string) int {
	if text[0] != '\'' || len(text) < 2 {
		return 0
	}
	switch text[1] | 0x20 {
	case 's', 't', 'm', 'd':
		return 2
	}
	if len(text) < 3 {
		return 0
	}
	switch [2]byte{text[1] | 0x20, text[2] | 0x20} {
	case [2]byte{'r', 'e'}, [2]byte{'v', 'e'}, [2]byte{'l', 'l'}:
		return 3
	}
	if text[1:3] == "ſ" { // its capital is S
		return 3
	}
	return 0
}

// someDigits returns the end of the numbers from n on, of which one stands
// there and no more than most are taken.
func someDigits(text string, n, most int) int {
	for i := 1; i < most && n < len(text); i++ {
		k, size := kindAt(text[n:])
		if k != number {
			break
		}
		n += size
	}
	return n
}

// newlines returns the end of the line ends from n on.
func newlines(text string, n int) int {
	for n < len(text) && (text[n] == '\r' || text[n] == '\n') {
		n++
	}
	return n
}

// lines returns the length of the word that starts with white space before
// something that takes no space along: all to the last line end, or else what
// GPT-2's expression takes.
func lines(text string) int {
	end, last, line := 0, 0, 0 // line: the end of the last line end
	for end < len(text) {
		k, size := kindAt(text[end:])
		if k != space {
			break
		}
		last, end = end, end+size
		if text[last] == '\r' || text[last] == '\n' {
			line = end
		}
	}
	switch {
	case line > 0: // \s*[\r\n]+
		return line
	case end == len(text) || last == 0: // \s+(?!\S), \s+
		return end
	}
	return last // \s+(?!\S), one space given back
}
