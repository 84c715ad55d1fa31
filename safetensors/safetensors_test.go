package safetensors

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func file(header string, data string) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), data...)
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	a := Tensor{"b.weight", []int{2, 2}, []float32{1, -2, 0.5, 65504}}
	b := Tensor{"a.bias", []int{3}, []float32{0, 1.0 / (1 << 24), -0.25}}
	for _, dtype := range []DType{F32, F16, BF16} {
		var one, two bytes.Buffer
		if err := Write(&one, dtype, []Tensor{a, b}); err != nil {
			t.Fatal(err)
		}
		if err := Write(&two, dtype, []Tensor{b, a}); err != nil || !bytes.Equal(one.Bytes(), two.Bytes()) {
			t.Errorf("%s: another order of the same tensors gives other bytes (%v)", dtype, err)
		}
		path := filepath.Join(t.TempDir(), "x.safetensors")
		if err := os.WriteFile(path, one.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		d, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]float32, 4)
		if err := d.Float32("b.weight", got); err != nil {
			t.Fatal(err)
		}
		want := slices.Clone(a.Data)
		if dtype == BF16 {
			want[3] = 65536 // eight bits of significand
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", dtype, got, want)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Every one of the 65,536 half-precision numbers survives the way there and back.
func TestHalfThereAndBack(t *testing.T) {
	for i := range 1 << 16 {
		h := uint16(i)
		f := fromHalf(h)
		if math.IsNaN(float64(f)) {
			continue
		}
		if got := toHalf(f); got != h {
			t.Fatalf("%#04x is %v, and that is %#04x", h, f, got)
		}
		if b := toBrain(math.Float32frombits(uint32(h) << 16)); b != h && h&0x7f80 != 0x7f80 {
			t.Fatalf("bfloat16 %#04x becomes %#04x", h, b)
		}
	}
	for _, tt := range []struct {
		f    float32
		want uint16
	}{{65519.996, 0x7bff}, {65520, 0x7c00}, {1 + 1.0/2048, 0x3c00}, {1 + 3.0/2048, 0x3c02}, {5.9604645e-08 / 2, 0}, {6.0975e-05, 0x03ff}} {
		if got := toHalf(tt.f); got != tt.want {
			t.Errorf("%v rounds to %#04x, want %#04x", tt.f, got, tt.want)
		}
	}
}

func TestDamagedFilesAreNamed(t *testing.T) {
	for _, tt := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "empty file"},
		{"short", []byte("abc"), "too few"},
		{"long header", file(`{}`, "")[:9], "cut short"},
		{"no object", file(`[]`, ""), "JSON object"},
		{"broken JSON", file(`{"a":{"dtype":"F32",`, ""), "header"},
		{"cut data", file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, "1234"), `tensor "a": data_offsets [0, 8] lie outside the 4 bytes`},
		{"wrong size", file(`{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}`, "12345678"), "F32[3] needs 12"},
		{"unknown type", file(`{"a":{"dtype":"F7","shape":[1],"data_offsets":[0,1]}}`, "1"), `dtype "F7"`},
		{"negative shape", file(`{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}`, "1"), "is no shape"},
		{"huge shape", file(`{"a":{"dtype":"F32","shape":[4611686018427387904,4611686018427387904],"data_offsets":[0,1]}}`, "1"), "is no shape"},
		{"overlap", file(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, "123"), "overlap"},
		{"gap", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, "12"), "gap"},
		{"rest", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, "12"), "but there are 2"},
		{"twice", file(`{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}`, ""), "twice"},
	} {
		path := filepath.Join(t.TempDir(), "model.safetensors")
		if err := os.WriteFile(path, tt.data, 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Open(path)
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v, want one that names the file and says %q", tt.name, err, tt.want)
		}
	}
}

func TestOnlyFiniteNumbersAreWritten(t *testing.T) {
	for _, tt := range []struct {
		dtype DType
		value float32
		want  string
	}{
		{F32, float32(math.NaN()), "only finite"},
		{BF16, float32(math.Inf(1)), "only finite"},
		{F16, 70000, "more than F16 holds"},
		{BF16, math.MaxFloat32, "more than BF16 holds"},
		{"I8", 1, "want F32, F16 or BF16"},
	} {
		var b bytes.Buffer
		err := Write(&b, tt.dtype, []Tensor{{"w", []int{1}, []float32{tt.value}}})
		if err == nil || !strings.Contains(err.Error(), tt.want) || b.Len() > 0 {
			t.Errorf("%s %v: error %v and %d bytes, want %q and none", tt.dtype, tt.value, err, b.Len(), tt.want)
		}
	}
}

func TestManyFilesAreOneDirectory(t *testing.T) {
	dir := t.TempDir()
	for name, tensor := range map[string]string{"model-00001-of-00002.safetensors": "a", "model-00002-of-00002.safetensors": "b"} {
		var b bytes.Buffer
		if err := Write(&b, F32, []Tensor{{tensor, []int{1}, []float32{7}}}); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	index := `{"metadata":{},"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}}`
	if err := os.WriteFile(filepath.Join(dir, IndexFile), []byte(index), 0o644); err != nil {
		t.Fatal(err)
	}
	d, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if len(d.Tensors()) != 2 || d.Tensors()[0].Name != "a" || d.Tensors()[1].Name != "b" {
		t.Errorf("tensors %v, want a and b", d.Tensors())
	}
}

func FuzzParse(f *testing.F) {
	f.Add(file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, "1234"))
	f.Add(file(`{"__metadata__":{"format":"pt"}}`, ""))
	f.Fuzz(func(t *testing.T, b []byte) {
		tensors, err := parse(b)
		if err != nil {
			return
		}
		for _, x := range tensors {
			if x.DType == F32 || x.DType == F16 || x.DType == BF16 {
				if err := x.float32s(make([]float32, x.Size())); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}
