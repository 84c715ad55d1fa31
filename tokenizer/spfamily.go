package tokenizer

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// llama converts the model as transformers does for LlamaTokenizer: BPE with
// byte fallback. In the legacy form, the default, a space mark goes before each
// stretch of text between special tokens; in the new form before the first.
func (m *spModel) llama(c spConfig) (*spFile, error) {
	prefix := given(c.PrefixSpace, true)
	if err := m.fits(classLlama, spBPE, spNormalizer{prefix: prefix, extra: false, escape: true}); err != nil {
		return nil, err
	}
	f := &spFile{Model: m.bpe(), Decoder: llamaDecoder(prefix)}
	if given(c.Legacy, true) {
		f.Normalizer = llamaNormalizer(prefix)
	} else {
		f.PreTokenizer = spMetaspace(prefix, false)
		f.PreTokenizer["split"] = false
	}
	err := f.add(m, c, nil)
	if err == nil {
		err = f.llamaTemplate(c)
	}
	return f, err
}

func llamaNormalizer(prefix bool) object {
	var steps []object
	if prefix {
		steps = append(steps, object{"type": "Prepend", "prepend": spaceMark})
	}
	steps = append(steps, object{"type": "Replace", "pattern": object{"String": " "}, "content": spaceMark})
	return object{"type": "Sequence", "normalizers": steps}
}

func llamaDecoder(prefix bool) object {
	steps := []object{
		{"type": "Replace", "pattern": object{"String": spaceMark}, "content": " "},
		{"type": "ByteFallback"},
		{"type": "Fuse"},
	}
	if prefix {
		steps = append(steps, object{"type": "Strip", "content": " ", "start": 1, "stop": 0})
	}
	return object{"type": "Sequence", "decoders": steps}
}

// llamaTemplate puts <s> before each text and </s> behind it, where asked.
func (f *spFile) llamaTemplate(c spConfig) error {
	var bos, eos []string
	if given(c.AddBOS, true) {
		bos = []string{orName(c.BOS, "<s>")}
	}
	if given(c.AddEOS, false) {
		eos = []string{orName(c.EOS, "</s>")}
	}
	return f.template(slices.Concat(bos, []string{"$A"}, eos), slices.Concat(bos, []string{"$B"}, eos), 1)
}

// t5 converts the model as transformers does for T5Tokenizer: unigram, 100
// further tokens from <extra_id_99> down to <extra_id_0>, and </s> at the end.
func (m *spModel) t5(c spConfig) (*spFile, error) {
	prefix := given(c.PrefixSpace, true)
	if err := m.fits(classT5, spUnigram, spNormalizer{charsmap: m.normalizer.charsmap, prefix: prefix, extra: true, escape: true}); err != nil {
		return nil, err
	}
	if m.trainer.byteFallback {
		return nil, refuse("trainer_spec.byte_fallback of", classT5, "none, as the conversion passes over it, or a tokenizer.json")
	}
	extra := given(c.ExtraIDs, 100)
	if extra < 0 || extra > maxVocab-len(m.pieces) {
		return nil, fmt.Errorf("tokenizer_config.json: extra_ids %d: want 0 to %d", extra, maxVocab-len(m.pieces))
	}
	var names []string
	for i := extra - 1; i >= 0; i-- {
		names = append(names, fmt.Sprintf("<extra_id_%d>", i))
	}
	f := &spFile{Model: m.unigram(names), Normalizer: m.t5Normalizer()}
	f.PreTokenizer = spMetaspace(prefix, given(c.Legacy, true))
	f.Decoder = f.PreTokenizer
	err := f.add(m, c, names)
	if err == nil {
		eos := orName(c.EOS, "</s>")
		err = f.template([]string{"$A", eos}, []string{"$B", eos}, 0)
	}
	return f, err
}

func (m *spModel) t5Normalizer() object {
	var steps []object
	if len(m.normalizer.charsmap) > 0 {
		steps = append(steps, object{"type": "Precompiled", "precompiled_charsmap": m.normalizer.charsmap}) // []byte: in base64
	}
	steps = append(steps,
		object{"type": "Strip", "strip_left": false, "strip_right": true},
		object{"type": "Replace", "pattern": object{"Regex": " {2,}"}, "content": spaceMark})
	return object{"type": "Sequence", "normalizers": steps}
}

// spMetaspace writes a space as a mark, and puts one before each stretch of
// text (always), the first, or none.
func spMetaspace(prefix, always bool) object {
	scheme := "first"
	switch {
	case !prefix:
		scheme = "never"
	case always:
		scheme = "always"
	}
	return object{"type": "Metaspace", "replacement": spaceMark, "prepend_scheme": scheme, "split": true}
}

// fits returns an error that names what the class would pass over: then the
// ids would not be those that the model was trained with.
func (m *spModel) fits(class string, model uint64, want spNormalizer) error {
	have := m.normalizer
	switch {
	case m.trainer.model != model:
		return fmt.Errorf("trainer_spec.model_type %s: %s wants %s", spModels[m.trainer.model], class, spModels[model])
	case m.trainer.suffix:
		return refuse("trainer_spec.treat_whitespace_as_suffix", "true", "false")
	case len(have.charsmap) != len(want.charsmap):
		return fmt.Errorf("normalizer_spec.precompiled_charsmap: %s normalizes nothing: want none, or a tokenizer.json", class)
	case have.prefix != want.prefix:
		return fmt.Errorf("normalizer_spec.add_dummy_prefix is %v, but add_prefix_space of tokenizer_config.json %v: want the same", have.prefix, want.prefix)
	case have.extra != want.extra:
		return fmt.Errorf("normalizer_spec.remove_extra_whitespaces is %v: %s wants %v, or a tokenizer.json", have.extra, class, want.extra)
	case have.escape != want.escape:
		return refuse("normalizer_spec.escape_whitespaces", "false", "true")
	}
	return nil
}

// add fills in the added tokens: control pieces and the unknown piece, pieces
// that the user defined, further tokens, and those of the configuration.
func (f *spFile) add(m *spModel, c spConfig, further []string) error {
	added := map[int]fileAdded{}
	for id, p := range m.pieces {
		if p.kind == spControl || p.kind == spUnknown || p.kind == spUser {
			added[id] = fileAdded{ID: id, Content: p.text, Special: p.kind != spUser}
		}
	}
	for i, name := range further {
		id := len(m.pieces) + i
		added[id] = fileAdded{ID: id, Content: name, Special: true}
	}
	if err := c.addTo(added, m, len(m.pieces)+len(further)); err != nil {
		return fmt.Errorf("tokenizer_config.json: added_tokens_decoder: %w", err)
	}
	for _, id := range slices.Sorted(maps.Keys(added)) {
		f.Added = append(f.Added, added[id])
	}
	return nil
}

// addTo adds the configuration's tokens, which know more than the model does.
// Those behind the model's size ids follow each other.
func (c spConfig) addTo(added map[int]fileAdded, m *spModel, size int) error {
	ids := make([]int, 0, len(c.Added))
	for key := range c.Added {
		id, err := strconv.Atoi(key)
		if err != nil || id < 0 {
			return fmt.Errorf("id %q: want a number", key)
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		a := c.Added[strconv.Itoa(id)]
		a.ID = id
		have, ok := added[id]
		switch {
		case ok && have.Content != a.Content:
			return fmt.Errorf("%q has id %d, which is %q", a.Content, id, have.Content)
		case !ok && id < len(m.pieces) && m.pieces[id].text != a.Content:
			return fmt.Errorf("%q has id %d, which is %q", a.Content, id, m.pieces[id].text)
		case id > size:
			return fmt.Errorf("%q has id %d: want %d, the next", a.Content, id, size)
		}
		added[id] = a
		size = max(size, id+1)
	}
	return nil
}

// template makes the post-processor: the items of the first text, and of the
// second, which has another type id. Items are $A, $B or a token.
func (f *spFile) template(first, second []string, secondType int) error {
	tokens := object{}
	single, err := f.items(first, 0, tokens)
	if err != nil {
		return err
	}
	more, err := f.items(second, secondType, tokens)
	f.PostProcessor = object{"type": "TemplateProcessing", "single": single, "pair": slices.Concat(single, more), "special_tokens": tokens}
	return err
}

func (f *spFile) items(names []string, kind int, tokens object) ([]object, error) {
	var items []object
	for _, name := range names {
		if name == "$A" || name == "$B" {
			items = append(items, object{"Sequence": object{"id": name[1:], "type_id": kind}})
			continue
		}
		i := slices.IndexFunc(f.Added, func(a fileAdded) bool { return a.Content == name })
		if i < 0 {
			return nil, fmt.Errorf("%q, which goes beside each text, is no special token of the model", name)
		}
		items = append(items, object{"SpecialToken": object{"id": name, "type_id": kind}})
		tokens[name] = object{"id": name, "ids": []int{f.Added[i].ID}, "tokens": []string{name}}
	}
	return items, nil
}

// given returns an option's value, or the class's where it is missing.
func given[T any](option *T, otherwise T) T {
	if option == nil {
		return otherwise
	}
	return *option
}
