package allreduce

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestABlockHasTheWidthItNeeds(t *testing.T) {
	for _, tt := range []struct {
		s    []int32
		want int
	}{
		{[]int32{0, 0, 0}, 0},
		{[]int32{0, -1}, 1},
		{[]int32{1}, 2},
		{[]int32{-2}, 2},
		{[]int32{127, -128}, 8},
		{[]int32{128}, 9},
		{[]int32{-129}, 9},
		{[]int32{1<<31 - 1}, 32},
		{[]int32{-1 << 31}, 32},
	} {
		b := packBlock(nil, tt.s)
		if int(b[0]) != tt.want || len(b) != 1+packedSize(len(tt.s), tt.want) {
			t.Errorf("%v packs to width %d and %d bytes, want %d", tt.s, b[0], len(b), tt.want)
		}
	}
}

func TestUnpackingGivesWhatWasPacked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := int32(1)<<rapid.IntRange(0, 30).Draw(t, "bits") - 1
		s := rapid.SliceOfN(rapid.Int32Range(-limit-1, limit), 1, Block).Draw(t, "values")
		got := make([]int32, len(s))
		msg := append(packBlock(nil, s), 7, 7)
		size, err := sizeOf(msg, len(s))
		if err != nil || size != len(msg)-2 {
			t.Fatalf("%v: size %d of %d, err %v", s, size, len(msg), err)
		}
		if unpackBlock(got, msg[:size]); !slices.Equal(got, s) {
			t.Fatalf("%v became %v", s, got)
		}
	})
}

func TestPiecesHoldEqualManyPresentBlocks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		exps := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 0, 1, 127}), 0, 50).Draw(t, "exps")
		ranks := rapid.IntRange(1, 12).Draw(t, "ranks")
		p := Cut(exps, ranks)
		next := 0
		for r := range ranks {
			from, to := p.Range(r)
			held := len(slices.DeleteFunc(slices.Clone(exps[from:to]), func(e byte) bool { return e == absent }))
			if from != next || to < from || held != p.held[r] || held-slices.Min(p.held) > 1 {
				t.Fatalf("piece %d is [%d, %d) after %d with %d present blocks; pieces hold %v", r, from, to, next, held, p.held)
			}
			next = to
		}
		if next != len(exps) {
			t.Fatalf("pieces end at %d of %d", next, len(exps))
		}
	})
}

// hostile is a vector of three blocks, the middle one absent, the last short.
func hostile() (p Pieces, sum []int32, exps []byte) {
	exps = []byte{127, 0, 130}
	sum = make([]int32, 2*Block+5)
	for i := range sum {
		if i/Block != 1 {
			sum[i] = int32(i%200 - 100)
		}
	}
	return Cut(exps, 1), sum, exps
}

func TestMessagesThatMakeNoSenseAreErrors(t *testing.T) {
	p, sum, exps := hostile()
	partial, final := p.packPartial(sum, 0), p.packFinal(sum, exps, 0)
	for _, tt := range []struct {
		name string
		take func([]byte) error
		msg  []byte
		want string
	}{
		{"empty partial", func(b []byte) error { return p.addPartial(sum, 0, b) }, nil, "block 0: ends in the middle"},
		{"cut partial", func(b []byte) error { return p.addPartial(sum, 0, b) }, partial[:len(partial)-1], "block 2: ends in the middle"},
		{"long partial", func(b []byte) error { return p.addPartial(sum, 0, b) }, append(slices.Clone(partial), 1), "1 bytes are left"},
		{"width", func(b []byte) error { return p.addPartial(sum, 0, b) }, append([]byte{33}, partial[1:]...), "block 0: width 33"},
		{"no exponents", func(b []byte) error { return p.setFinal(sum, exps, 0, b) }, final[:1], "1 bytes are too short"},
		{"low exponent", func(b []byte) error { return p.setFinal(sum, exps, 0, b) }, append([]byte{126}, final[1:]...), "block 0 has exponent 126, less than the agreed 127"},
		{"cut final", func(b []byte) error { return p.setFinal(sum, exps, 0, b) }, final[:len(final)-1], "block 2: ends in the middle"},
	} {
		if err := tt.take(tt.msg); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

func FuzzPartial(f *testing.F) {
	p, sum, _ := hostile()
	f.Add(p.packPartial(sum, 0))
	f.Add([]byte{0, 0})
	f.Fuzz(func(t *testing.T, msg []byte) {
		got := make([]int32, len(sum))
		if p.addPartial(got, 0, msg) != nil {
			return
		}
		again := make([]int32, len(sum))
		if err := p.addPartial(again, 0, p.packPartial(got, 0)); err != nil || !slices.Equal(again, got) {
			t.Fatalf("packing what was unpacked changes it: %v", err)
		}
	})
}

func FuzzFinal(f *testing.F) {
	p, sum, exps := hostile()
	f.Add(p.packFinal(sum, exps, 0))
	f.Add([]byte{0, 0})
	f.Fuzz(func(t *testing.T, msg []byte) {
		got, e := make([]int32, len(sum)), slices.Clone(exps)
		if p.setFinal(got, e, 0, msg) != nil {
			return
		}
		again, e2 := make([]int32, len(sum)), slices.Clone(exps)
		if err := p.setFinal(again, e2, 0, p.packFinal(got, e, 0)); err != nil || !slices.Equal(again, got) || !slices.Equal(e, e2) {
			t.Fatalf("packing what was unpacked changes it: %v", err)
		}
	})
}

func FuzzAgreement(f *testing.F) {
	a := agreement{exps: []byte{1, 2, 3}, tail: Tail{1, 2}, word: []byte("word")}
	f.Add(0, a.message(0, 3))
	f.Add(1, a.message(0, 3))
	f.Fuzz(func(t *testing.T, rank int, msg []byte) {
		own := agreement{exps: []byte{2, 2, 2}}
		if own.take(rank, msg, 0, 3) == nil && slices.Min(own.exps) < 2 {
			t.Fatalf("exponents sank to %v", own.exps)
		}
		own = agreement{exps: []byte{2, 2, 2}}
		if own.settle(msg, 0, 3) == nil && !slices.Equal(own.exps, msg) {
			t.Fatalf("settled on %v, want %v", own.exps, msg)
		}
	})
}

func FuzzCanonical(f *testing.F) {
	_, sum, exps := hostile()
	f.Add(Canonical(nil, exps, sum, Tail{1, -2, 3}), len(sum))
	f.Add([]byte{}, -1)
	f.Add(make([]byte, tailSize), 0)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		exps, sum, tail, err := ParseCanonical(b, n)
		if err == nil && !slices.Equal(Canonical(nil, exps, sum, tail), b) {
			t.Fatal("encoding what was parsed changes it")
		}
	})
}

func TestCanonicalForm(t *testing.T) {
	_, sum, exps := hostile()
	tail := Tail{5, 6, -7}
	b := Canonical([]byte("x"), exps, sum, tail)[1:]
	if want := 3 + 1 + Block + 1 + packedSize(5, 6) + 64; len(b) != want {
		t.Fatalf("%d bytes, want %d", len(b), want)
	}
	if !slices.Equal(b[:3], exps) || b[3] != 8 || int8(b[4]) != -100 || int64(binary.LittleEndian.Uint64(b[len(b)-48:])) != -7 {
		t.Errorf("the canonical form is not exponents, packed blocks, tail")
	}
	e2, s2, t2, err := ParseCanonical(b, len(sum))
	if err != nil || !slices.Equal(e2, exps) || !slices.Equal(s2, sum) || t2 != tail {
		t.Errorf("ParseCanonical gives %v, %d values, %v, err %v", e2, len(s2), t2, err)
	}
	wide := slices.Concat(b[:3], []byte{16}, widened(sum[:Block]), b[4+Block:])
	for _, bad := range [][]byte{nil, b[:66], b[:len(b)-1], append(slices.Clone(b), 0), wide} {
		if _, _, _, err := ParseCanonical(bad, len(sum)); err == nil {
			t.Errorf("%d bytes were parsed as %d values", len(bad), len(sum))
		}
	}
}

// widened is s in words of two bytes.
func widened(s []int32) (all []byte) {
	for _, x := range s {
		all = binary.LittleEndian.AppendUint16(all, uint16(x))
	}
	return all
}
