package node

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"carillon/checkpoint"
	"carillon/model"
	"carillon/objstore"
	"carillon/safetensors"
)

// A job begins as the file in the store says, where that says something; what does
// not verify, or is of another model, is refused by the object's name.
func TestNodesBeginAsTheStoreSays(t *testing.T) {
	var file strings.Builder
	if err := safetensors.Write(&file, safetensors.F32, []safetensors.Tensor{{Name: "b", Shape: []int{2}, Data: []float32{5, 6}}}); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(file.String()))
	hash := hex.EncodeToString(sum[:])
	params := []model.Param{{Name: "a", Shape: []int{1}}, {Name: "b", Shape: []int{2}, Offset: 1}, {Name: "c", Shape: []int{1}, Offset: 3}}
	for _, tt := range []struct {
		name, stored string
		params       []model.Param
		want         string
	}{
		{"as it was put", file.String(), params, ""},
		{"a bit flipped", strings.Replace(file.String(), `"b"`, `"c"`, 1), params, checkpoint.InitKey(hash) + " is damaged in the store"},
		{"another model", file.String(), params[:1], "this node trains no tensor b of shape [2]"},
		{"another shape", file.String(), []model.Param{{Name: "b", Shape: []int{1, 2}}}, "this node trains no tensor b of shape [2]"},
	} {
		store, w := &objstore.Mem{}, []float32{1, 2, 3, 4}
		if err := store.PutIfAbsent(t.Context(), checkpoint.InitKey(hash), strings.NewReader(tt.stored), int64(len(tt.stored))); err != nil {
			t.Fatal(err)
		}
		err := begin(t.Context(), store, hash, tt.params, w)
		switch {
		case tt.want == "" && (err != nil || !slices.Equal(w, []float32{1, 5, 6, 4})):
			t.Errorf("%s: %v, %v", tt.name, w, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: %v; want %s", tt.name, err, tt.want)
		}
	}
	if err := begin(t.Context(), &objstore.Mem{}, hash, params, make([]float32, 4)); err == nil || !strings.Contains(err.Error(), hash) {
		t.Errorf("not in the store: %v", err)
	}
}
