// SPDX-License-Identifier: Apache-2.0

package backendtest

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
)

// secret makes a Secret of the shape that the store takes.
func (h Harness) secret(text string) backend.Secret {
	if h.Payloads {
		return backend.Secret{Payload: backend.NewValue([]byte(text))}
	}
	return backend.Secret{Fields: map[string]backend.Value{"value": backend.NewValue([]byte(text))}}
}

// newRef returns the Ref to write a new secret to.
func (h Harness) newRef(name string) backend.Ref {
	if h.NewRef == nil {
		return backend.Ref{Path: name}
	}
	return h.NewRef(name)
}

// seedAll seeds one secret for each text, in names that do not sort like the
// order they are given in.
func (h Harness) seedAll(texts ...string) []backend.Ref {
	refs := make([]backend.Ref, len(texts))
	for i, text := range texts {
		refs[i] = h.Seed(fmt.Sprintf("suite-%d-%s", (i*7+3)%10, text), h.secret(text))
	}
	return refs
}

// read reads refs in as few calls as the limits allow. Its error is one of the
// contract, or of the call as a whole; each Result is looked at by the caller.
func (h Harness) read(ctx context.Context, refs ...backend.Ref) ([]backend.Result, error) {
	size := max(1, h.Backend.Limits.Batch)
	var out []backend.Result
	for from := 0; from < len(refs); from += size {
		chunk := refs[from:min(from+size, len(refs))]
		answers, err := h.Backend.Reader.Read(ctx, chunk)
		if err != nil {
			return nil, err
		}
		if len(answers) != len(chunk) {
			return nil, fmt.Errorf("%d answers to %d questions", len(answers), len(chunk))
		}
		for i, a := range answers {
			if a.Ref != chunk[i] {
				return nil, fmt.Errorf("answer %d is to %s instead of %s", i, a.Ref, chunk[i])
			}
			if a.Err != nil && (a.Secret.Payload.IsSet() || len(a.Secret.Fields) > 0) {
				return nil, fmt.Errorf("the answer for %s carries both a value and an error", a.Ref)
			}
		}
		out = append(out, answers...)
	}
	return out, nil
}

// readOne reads one ref; its error is the call's or the Result's.
func (h Harness) readOne(ctx context.Context, ref backend.Ref) (backend.Secret, error) {
	results, err := h.read(ctx, ref)
	if err != nil {
		return backend.Secret{}, err
	}
	return results[0].Secret, results[0].Err
}

// holds returns an error unless ref can be read and holds want.
func (h Harness) holds(ctx context.Context, ref backend.Ref, want backend.Secret) error {
	got, err := h.readOne(ctx, ref)
	if err != nil {
		return fmt.Errorf("reading %s: %w", ref, err)
	}
	return h.same(ref, got, want)
}

// same compares a secret that was read to the one that was seeded, and does
// not say what either holds.
func (h Harness) same(ref backend.Ref, got, want backend.Secret) error {
	if h.Plain != nil {
		got = h.Plain(ref, got)
	}
	if got.Equal(want) {
		return nil
	}
	if got.Payload.IsSet() != want.Payload.IsSet() {
		return fmt.Errorf("%s: payload set is %t, want %t", ref, got.Payload.IsSet(), want.Payload.IsSet())
	}
	if len(got.Fields) != len(want.Fields) {
		return fmt.Errorf("%s has fields %q, want %q", ref, got.FieldNames(), want.FieldNames())
	}
	return fmt.Errorf("%s holds another value than it should (payload of %d bytes, want %d)", ref, got.Payload.Len(), want.Payload.Len())
}

// coded returns an error unless err has the code.
func coded(what string, err error, want backend.Code) error {
	if got := backend.CodeOf(err); got != want {
		return fmt.Errorf("%s: code %q, want %q", what, got, want)
	}
	return nil
}

// clean returns an error when err, any of its causes or any way to print them
// contains one of the words in a form that a log could show.
func clean(err error, words ...string) error {
	texts := []string{fmt.Sprintf("%v %+v %#v %q", err, err, err, err)}
	for _, cause := range causes(err) {
		texts = append(texts, fmt.Sprintf("%v %+v %#v", cause, cause, cause))
	}
	return absent(strings.Join(texts, "\n"), words...)
}

// absent returns an error when text contains one of the words, raw or encoded.
func absent(text string, words ...string) error {
	for _, w := range words {
		for form, encoded := range map[string]string{
			"as it is":        w,
			"in base64":       strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(w)), "="),
			"in base64url":    base64.RawURLEncoding.EncodeToString([]byte(w)),
			"in hex":          hex.EncodeToString([]byte(w)),
			"in URL encoding": url.QueryEscape(w),
		} {
			if w != "" && strings.Contains(strings.ToLower(text), strings.ToLower(encoded)) {
				return fmt.Errorf("a text of the backend contains the canary %s", form)
			}
		}
	}
	return nil
}

// causes returns err and everything it wraps.
func causes(err error) []error {
	if err == nil {
		return nil
	}
	out := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			out = append(out, causes(e)...)
		}
		return out
	}
	return append(out, causes(errors.Unwrap(err))...)
}

// promptly returns what f returns, or an error when that takes longer than the
// harness has patience.
func (h Harness) promptly(what string, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	timer := time.NewTimer(h.Patience)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return fmt.Errorf("%s takes longer than %s", what, h.Patience)
	}
}

// lacks returns a Skip that gives its reason when one of the back doors is
// missing.
func lacks(reason string, missing func(Harness) bool) func(Harness) string {
	return func(h Harness) string {
		if missing(h) {
			return reason
		}
		return ""
	}
}

// The reasons that several checks share.
var (
	noOpen     = lacks("the harness cannot open the store again", func(h Harness) bool { return h.Open == nil })
	noRotate   = lacks("the harness cannot change a secret", func(h Harness) bool { return h.Rotate == nil })
	noPrevious = lacks("the product has no old versions to read", func(h Harness) bool { return h.Rotate == nil || h.Previous == nil })
	noRemove   = lacks("the harness cannot remove a secret", func(h Harness) bool { return h.Remove == nil })
	noFail     = lacks("the harness cannot make the store fail", func(h Harness) bool { return h.Fail == nil })
	noCount    = lacks("requests are not counted", func(h Harness) bool { return h.Calls == nil || h.Requests == nil })
	noLeaseRef = lacks("the harness has nothing that makes leases", func(h Harness) bool { return h.LeaseRef == backend.Ref{} })
)

// first returns the first reason that one of the skips gives.
func first(skips ...func(Harness) string) func(Harness) string {
	return func(h Harness) string {
		for _, s := range skips {
			if reason := s(h); reason != "" {
				return reason
			}
		}
		return ""
	}
}
