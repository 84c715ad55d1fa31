package export

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"

	"carillon/safetensors"
)

// dtypes are the spec's words for how weights are stored; none is float32.
var dtypes = map[string]safetensors.DType{
	"": safetensors.F32, "float32": safetensors.F32, "float16": safetensors.F16, "bfloat16": safetensors.BF16,
}

// writeWeights writes a weights file and returns its SHA-256 in hex, by which the
// export is known.
func writeWeights(path string, dtype safetensors.DType, tensors []safetensors.Tensor) (sum string, err error) {
	if len(tensors) == 0 {
		return "", fmt.Errorf("%s: there is no tensor to export", path)
	}
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	w := bufio.NewWriter(io.MultiWriter(f, h))
	err = cmp.Or(safetensors.Write(w, dtype, tensors), w.Flush())
	if err = cmp.Or(err, f.Close()); err != nil {
		return "", fmt.Errorf("export: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
