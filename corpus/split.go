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
// group name, until there are enough; so adding a record moves few others. A
// group is passed over if nothing, or nothing of some class, were left to train
// on. If examples are held out already, by a list of packages or as data sets of
// their own, it is an error to ask for more.
func Split(examples []Example, size float64, seed uint64) error {
	if size == 0 {
		return nil
	}
	if n := countHeldOut(examples); n > 0 {
		return fmt.Errorf("val_set_size %v: %d examples are held out by held_out already, or by test_datasets; leave one of the two out", size, n)
	}
	want := int(size)
	if size < 1 {
		want = int(math.Ceil(size * float64(len(examples))))
	}
	if size < 0 || math.IsNaN(size) || want >= len(examples) {
		return fmt.Errorf("val_set_size %v of %s: want a share below 1 or a number of examples, with some left to train on", size, counted(len(examples), "example"))
	}
	members, left := map[string][]int{}, map[string]int{}
	for i, x := range examples {
		group := groupName(x)
		members[group] = append(members[group], i)
		left[x.Label]++
	}
	groups := drawn(members, seed)
	held := 0
	for _, g := range groups {
		if held >= want {
			break
		}
		if takesLast(examples, members[g], left) {
			continue
		}
		for _, i := range members[g] {
			examples[i].HeldOut = true
			left[examples[i].Label]--
		}
		held += len(members[g])
	}
	if held == 0 && len(groups) == 1 {
		return fmt.Errorf("val_set_size %v: all %d examples are of one group, %s, which is not cut", size, len(examples), groups[0])
	}
	if held == 0 {
		return fmt.Errorf("val_set_size %v: each of the %d groups has the last examples of some class; want more examples", size, len(groups))
	}
	return nil
}

// takesLast says whether no example of some class is left to train on without
// the members of a group. What has no classes is all of one.
func takesLast(examples []Example, members []int, left map[string]int) bool {
	takes := map[string]int{}
	for _, i := range members {
		label := examples[i].Label
		if takes[label]++; takes[label] == left[label] {
			return true
		}
	}
	return false
}

// groupName names the group of an example. Without one, equal examples are a group,
// whatever file they are in and wherever they stand there.
func groupName(x Example) string {
	if x.Group != "" {
		return x.Group
	}
	return contentOf(x).String()
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
