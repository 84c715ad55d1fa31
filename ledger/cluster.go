package ledger

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"carillon/job"
)

// What follows is agreed on about the cluster, not about a job.

// Redeem says that a machine used a join token.
type Redeem struct {
	Token   string    `json:"token"` // its id
	Machine string    `json:"machine"`
	Request string    `json:"request"` // SHA-256 of its name and signing request: the same again is no use
	Uses    int       `json:"uses"`    // how many machines may use it
	Expires time.Time `json:"expires"`
}

// Revoke says that the holder of a name is not let in any more, for ever.
type Revoke struct {
	Name string `json:"name"` // role/name
}

// Redeemed is a token that was used.
type Redeemed struct {
	Machines []string  `json:"machines"`
	Requests []string  `json:"requests"`
	Expires  time.Time `json:"expires"`
}

// applyCluster takes an entry about the cluster, and says whether e is one.
func (s *State) applyCluster(e Entry) (is bool, err error) {
	switch {
	case e.Redeem != nil:
		return true, s.redeem(*e.Redeem, e.Time)
	case e.Revoke != nil:
		if !slices.Contains(s.Revoked, e.Revoke.Name) {
			s.Revoked = append(slices.Clip(s.Revoked), e.Revoke.Name)
		}
		return true, nil
	}
	return false, nil
}

// redeem counts a use. Tokens that have expired are forgotten: they are refused for
// their age.
func (s *State) redeem(r Redeem, now time.Time) error {
	used := s.Tokens[r.Token]
	if slices.Contains(used.Requests, r.Request) {
		return nil
	}
	if len(used.Machines) >= r.Uses {
		return fmt.Errorf("the token was used by %d machines (%v), as often as it may: %w", len(used.Machines), used.Machines, ErrVoid)
	}
	next := maps.Clone(s.Tokens)
	maps.DeleteFunc(next, func(_ string, u Redeemed) bool { return u.Expires.Before(now) })
	if next == nil {
		next = map[string]Redeemed{}
	}
	next[r.Token] = Redeemed{append(slices.Clip(used.Machines), r.Machine), append(slices.Clip(used.Requests), r.Request), r.Expires}
	s.Tokens = next
	return nil
}

// Current is the job that is worked on: of those that have not ended the one that was
// submitted first. Where all have, it is the last one; nil where there is none.
func (s *State) Current() *Job {
	for _, id := range s.Order {
		if s.Jobs[id].End == nil {
			return s.Jobs[id]
		}
	}
	if n := len(s.Order); n > 0 {
		return s.Jobs[s.Order[n-1]]
	}
	return nil
}

// enqueue puts a job that is new, or begins again, behind all others.
func (s *State) enqueue(j *Job, before *Job) {
	if before != nil && before.End == nil {
		return
	}
	rest := slices.DeleteFunc(slices.Clone(s.Order), func(id job.ID) bool { return id == j.ID })
	s.Order = append(rest, j.ID)
}
