package corpus

import "strings"

// The prompt of type alpaca, as Axolotl writes it. The input and its heading are
// there only where a row has an input; what a row gives as system takes the place
// of the opening sentences.
const (
	alpacaPlain = "Below is an instruction that describes a task. " +
		"Write a response that appropriately completes the request."
	alpacaWithInput = "Below is an instruction that describes a task, paired with an input that provides further context. " +
		"Write a response that appropriately completes the request."
)

// alpaca returns the prompt of a row of type alpaca.
func (t *taker) alpaca() string {
	instruction, input, system := t.text(keyInstruction), t.optional(keyInput), t.optional(keySystem)
	if turns, _ := t.row.fields["history"].([]any); len(turns) > 0 {
		t.fail("field %q has earlier turns, for which the alpaca prompt has no place: want type %s", "history", TypeMessages)
	}
	var b strings.Builder
	switch {
	case system != "":
		b.WriteString(system)
	case input != "":
		b.WriteString(alpacaWithInput)
	default:
		b.WriteString(alpacaPlain)
	}
	b.WriteString("\n\n### Instruction:\n" + instruction + "\n\n")
	if input != "" {
		b.WriteString("### Input:\n" + input + "\n\n")
	}
	b.WriteString("### Response:\n")
	return b.String()
}
