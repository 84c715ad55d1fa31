package corpus

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"carillon/job"
)

// Split holds out val_set_size of the examples: a share if it is below 1, else
// a number of examples. Whole groups are held out, drawn by a hash of seed and
// group name, until there are enough; so adding a record moves few others.
// If examples are held out already, by a list of packages, it is an error to
// ask for more.
func Split(examples []Example, size float64, seed uint64) error {
	if size == 0 {
		return nil
	}
	if n := countHeldOut(examples); n > 0 {
		return fmt.Errorf("val_set_size %v: %d examples are held out by held_out already; leave one of the two out", size, n)
	}
	want := int(size)
	if size < 1 {
		want = int(math.Ceil(size * float64(len(examples))))
	}
	if size < 0 || math.IsNaN(size) || want >= len(examples) {
		return fmt.Errorf("val_set_size %v of %d examples: want a share below 1 or a number of examples, with some left to train on", size, len(examples))
	}
	members := map[string][]int{}
	for i, x := range examples {
		members[x.Group] = append(members[x.Group], i)
	}
	groups := drawn(members, seed)
	held := 0
	for _, g := range groups[:len(groups)-1] { // one is always left
		if held >= want {
			break
		}
		for _, i := range members[g] {
			examples[i].HeldOut = true
		}
		held += len(members[g])
	}
	if held == 0 {
		return fmt.Errorf("val_set_size %v: all %d examples are of one group, %s, which is not cut", size, len(examples), groups[0])
	}
	return nil
}

// drawn returns the groups in the order of their draws.
func drawn(members map[string][]int, seed uint64) []string {
	type draw struct {
		value uint32
		group string
	}
	var draws []draw
	for g := range members {
		draws = append(draws, draw{job.NewKey(seed, job.ForSplit, job.NameWord(g)).At(0), g})
	}
	slices.SortFunc(draws, func(a, b draw) int {
		return cmp.Or(cmp.Compare(a.value, b.value), cmp.Compare(a.group, b.group))
	})
	groups := make([]string, len(draws))
	for i, d := range draws {
		groups[i] = d.group
	}
	return groups
}
