package remote

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Allocation returns the hosts of the Slurm allocation that this process runs in.
func Allocation() ([]Host, error) {
	list := os.Getenv("SLURM_JOB_NODELIST")
	if list == "" {
		return nil, fmt.Errorf("there is no Slurm allocation here (SLURM_JOB_NODELIST is not set), and no --hosts")
	}
	names, err := expand(list)
	if err != nil {
		return nil, fmt.Errorf("SLURM_JOB_NODELIST=%s: %w", list, err)
	}
	var hosts []Host
	for _, n := range names {
		hosts = append(hosts, Host{Name: n})
	}
	return hosts, nil
}

// Requeued says whether Slurm has started this job before.
func Requeued() bool {
	n, err := strconv.Atoi(os.Getenv("SLURM_RESTART_COUNT"))
	return err == nil && n > 0
}

// maxHosts bounds what a list may expand to.
const maxHosts = 1 << 16

// expand lists the hosts of Slurm's notation: "gpu[01-03,7]-a,login" is gpu01-a, gpu02-a,
// gpu03-a, gpu7-a and login.
func expand(list string) (hosts []string, err error) {
	for _, item := range splitOutside(list) {
		some, err := expandItem(item)
		if err != nil {
			return nil, err
		}
		if hosts = append(hosts, some...); len(hosts) > maxHosts {
			return nil, fmt.Errorf("more than %d hosts", maxHosts)
		}
	}
	return hosts, nil
}

// splitOutside splits at commas that are not between brackets.
func splitOutside(list string) (items []string) {
	depth, from := 0, 0
	for i, r := range list {
		switch {
		case r == '[':
			depth++
		case r == ']':
			depth--
		case r == ',' && depth == 0:
			items, from = append(items, list[from:i]), i+1
		}
	}
	return append(items, list[from:])
}

func expandItem(item string) ([]string, error) {
	before, rest, ok := strings.Cut(item, "[")
	if !ok {
		if item == "" || strings.ContainsAny(item, "] ") {
			return nil, fmt.Errorf("%q is no host", item)
		}
		return []string{item}, nil
	}
	inside, after, ok := strings.Cut(rest, "]")
	if !ok {
		return nil, fmt.Errorf("%q: a bracket is not closed", item)
	}
	tails, err := expandItemOrNothing(after)
	if err != nil {
		return nil, err
	}
	var hosts []string
	for part := range strings.SplitSeq(inside, ",") {
		numbers, err := expandRange(part)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", item, err)
		}
		for _, n := range numbers {
			for _, tail := range tails {
				hosts = append(hosts, before+n+tail)
			}
			if len(hosts) > maxHosts {
				return nil, fmt.Errorf("%q is more than %d hosts", item, maxHosts)
			}
		}
	}
	return hosts, nil
}

func expandItemOrNothing(item string) ([]string, error) {
	if item == "" {
		return []string{""}, nil
	}
	return expandItem(item)
}

// expandRange lists "7" or "01-03", with the zeros in front.
func expandRange(part string) (numbers []string, err error) {
	from, to, ok := strings.Cut(part, "-")
	if !ok {
		to = from
	}
	a, errA := strconv.ParseUint(from, 10, 32)
	b, errB := strconv.ParseUint(to, 10, 32)
	if errA != nil || errB != nil || b < a || b-a >= maxHosts {
		return nil, fmt.Errorf("%q is no range of numbers", part)
	}
	for n := a; n <= b; n++ {
		numbers = append(numbers, fmt.Sprintf("%0*d", len(from), n))
	}
	return numbers, nil
}
