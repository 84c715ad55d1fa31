package export

import (
	"errors"
	"os"
)

// exchangeSlowly swaps the names of two directories by a third name. If the second
// step cannot be done, the first is taken back.
func exchangeSlowly(a, b string) error {
	aside := a + ".old"
	if err := os.Rename(b, aside); err != nil {
		return err
	}
	if err := os.Rename(a, b); err != nil {
		return errors.Join(err, os.Rename(aside, b))
	}
	return os.Rename(aside, a)
}
