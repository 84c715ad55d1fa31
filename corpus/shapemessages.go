package corpus

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// roles maps what rows call who speaks to what templates call it. A function
// call is something that the assistant says, and is learnt as such.
var roles = map[string]string{
	"system": "system", "developer": "system",
	"user": "user", "human": "user", "prompter": "user",
	"assistant": "assistant", "gpt": "assistant", "bot": "assistant", "model": "assistant", "chatgpt": "assistant", "function_call": "assistant",
	"tool": "tool", "function": "tool", "observation": "tool", "ipython": "tool", "function_response": "tool",
}

// unread are fields of a message, or of a whole row, that change what a template
// would write or what is learnt. To pass them over would be wrong in silence.
var (
	unread    = []string{"tool_calls", "function_call", "reasoning_content", "thinking"}
	unreadRow = []string{"tools", "functions"}
)

// conversation returns the messages of a row.
func (t *taker) conversation() []Message {
	value := t.value(keyMessages)
	turns, ok := value.([]any)
	name := t.fields[keyMessages]
	switch {
	case t.err != nil:
	case !ok:
		t.fail("field %q is %s, want %s", name, whatIs(value), t.wanted(keyMessages))
	case len(turns) == 0:
		t.fail("field %q is empty: nothing to learn", name)
	}
	for _, field := range unreadRow {
		if !isEmpty(t.row.fields[field]) {
			t.fail("field %q: templates are not given tools; want them written out in the system message", field)
		}
	}
	var messages []Message
	for i, turn := range turns {
		m, err := t.message(turn)
		if err != nil {
			t.fail("field %q, message %d: %w", name, i+1, err)
			break
		}
		messages = append(messages, m)
	}
	messages = t.addSystem(messages)
	if t.err == nil && !slices.ContainsFunc(messages, func(m Message) bool { return m.Role == "assistant" && m.Content != "" }) {
		t.fail("field %q: the assistant says nothing: nothing to learn", name)
	}
	return messages
}

// addSystem puts what the row's own field says for the system before the
// messages.
func (t *taker) addSystem(messages []Message) []Message {
	system := t.optional(keySystem)
	if system == "" {
		return messages
	}
	if len(messages) > 0 && messages[0].Role == "system" {
		t.fail("field %q: the first message is one of the system too; want one of the two", t.fields[keySystem])
	}
	return slices.Insert(messages, 0, Message{"system", system})
}

// message reads one turn.
func (t *taker) message(turn any) (Message, error) {
	fields, ok := turn.(map[string]any)
	if !ok {
		return Message{}, fmt.Errorf("%s, want an object", whatIs(turn))
	}
	value, ok := lookUp(fields, t.fields[keyRole])
	said, isString := value.(string)
	role, known := roles[said]
	switch {
	case !ok:
		return Message{}, fmt.Errorf("no field %q; there are %s", t.fields[keyRole], list(fieldsOf([]row{{fields: fields}}), t.fields[keyRole]))
	case !isString:
		return Message{}, fmt.Errorf("field %q is %s, want a string", t.fields[keyRole], whatIs(value))
	case !known:
		return Message{}, fmt.Errorf("field %q is %s, want one of %s", t.fields[keyRole], inShort(said), roleNames())
	}
	if err := checkUnread(fields); err != nil {
		return Message{}, err
	}
	content, err := t.content(fields)
	return Message{role, content}, err
}

// checkUnread refuses what would be passed over in silence.
func checkUnread(message map[string]any) error {
	for _, name := range unread {
		if !isEmpty(message[name]) {
			return fmt.Errorf("field %q is not read: want what is to be learnt written out in the content", name)
		}
	}
	if message["weight"] == json.Number("0") || message["train"] == false {
		return errors.New("a turn to be left out of learning: only mask_history can do that, for all but the last")
	}
	return nil
}

// isEmpty says whether a value is null or holds nothing.
func isEmpty(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case string:
		return v == "" || v == "[]"
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// content returns what is said: a text, nothing, or the text of a list of parts.
func (t *taker) content(fields map[string]any) (string, error) {
	name := t.fields[keyContent]
	value, ok := lookUp(fields, name)
	switch v := value.(type) {
	case string:
		return v, nil
	case nil:
		if !ok {
			return "", fmt.Errorf("no field %q; there are %s", name, list(fieldsOf([]row{{fields: fields}}), name))
		}
		return "", nil
	case []any:
		return joinParts(name, v)
	}
	return "", fmt.Errorf("field %q is %s, want a string, null or a list of parts", name, whatIs(value))
}

// joinParts puts the parts of a message's content together, which must all be
// text.
func joinParts(name string, parts []any) (string, error) {
	var b strings.Builder
	for i, p := range parts {
		part, _ := p.(map[string]any)
		text, isString := part["text"].(string)
		if whole, ok := p.(string); ok {
			text, isString = whole, true
		} else if kind, _ := part["type"].(string); kind != "text" {
			return "", fmt.Errorf("field %q, part %d is of type %s, want text", name, i+1, inShort(part["type"]))
		}
		if !isString {
			return "", fmt.Errorf("field %q, part %d has no text", name, i+1)
		}
		b.WriteString(text)
	}
	return b.String(), nil
}

// roleNames lists the names that rows may use.
func roleNames() string {
	return strings.Join(slices.Sorted(maps.Keys(roles)), ", ")
}
