// SPDX-License-Identifier: Apache-2.0

package ibmsm

import (
	"crypto/rand"
	"math/big"
)

const (
	lowers  = "abcdefghijklmnopqrstuvwxyz"
	uppers  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits  = "0123456789"
	symbols = "~!@#$%^&*()_+-={}[]|:;<>?,./"
)

// newPassword generates a password with at least one character of each class that the policy includes.
func newPassword(policy any) string {
	p, _ := policy.(fields)
	classes := []string{lowers}
	for _, c := range []struct{ flag, chars string }{
		{"include_uppercase", uppers}, {"include_digits", digits}, {"include_symbols", symbols},
	} {
		if on, _ := p[c.flag].(bool); on {
			classes = append(classes, c.chars)
		}
	}
	all := ""
	for _, c := range classes {
		all += c
	}
	length, _ := wholeNumber(p["length"])
	out := make([]byte, max(length, len(classes)))
	for i := range out {
		from := all
		if i < len(classes) {
			from = classes[i]
		}
		out[i] = from[randomBelow(len(from))]
	}
	for i := len(out) - 1; i > 0; i-- {
		j := randomBelow(i + 1)
		out[i], out[j] = out[j], out[i]
	}
	return string(out)
}

func randomBelow(n int) int {
	v, err := rand.Int(rand.Reader, big.NewInt(int64(n)))
	if err != nil { // crypto/rand.Reader never fails; the runtime aborts instead
		panic(err)
	}
	return int(v.Int64())
}
