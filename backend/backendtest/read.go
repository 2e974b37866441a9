// SPDX-License-Identifier: Apache-2.0

package backendtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
)

var readChecks = []Check{
	{Name: "read/order", Needs: backend.CanRead, Run: readOrder},
	{Name: "read/none", Needs: backend.CanRead, Skip: noCount, Run: readNone},
	{Name: "read/binary", Needs: backend.CanRead, Run: readBinary},
	{Name: "read/empty-value", Needs: backend.CanRead, Run: readEmpty},
	{Name: "read/large", Needs: backend.CanRead, Run: readLarge},
	{Name: "read/fields", Needs: backend.CanRead, Skip: lacks("the product has no named fields", func(h Harness) bool { return !h.Fields }), Run: readFields},
	{Name: "read/missing", Needs: backend.CanRead, Skip: noRemove, Run: readMissing},
	{Name: "read/bad-ref", Needs: backend.CanRead, Skip: noCount, Run: readBadRef},
	{Name: "read/one-request", Needs: backend.CanRead, Skip: noCount, Run: readOneRequest},
	{Name: "read/cancelled", Needs: backend.CanRead, Run: readCancelled},
	{Name: "read/concurrent", Needs: backend.CanRead, Run: readConcurrent},
	{Name: "read/mutating", Needs: backend.CanRead, Skip: lacks("the product has no secrets that reading changes, or the harness cannot make one",
		func(h Harness) bool { return h.SeedMutating == nil }), Run: readMutating},
}

// readOrder: answer i belongs to question i, forwards and backwards.
func readOrder(ctx context.Context, h Harness) error {
	texts := []string{"a", "b", "c", "d", "e"}
	refs := h.seedAll(texts...)
	for range 2 {
		results, err := h.read(ctx, refs...)
		if err != nil {
			return err
		}
		for i, r := range results {
			if r.Err != nil {
				return fmt.Errorf("reading %s: %w", r.Ref, r.Err)
			}
			if err := h.same(r.Ref, r.Secret, h.secret(texts[i])); err != nil {
				return err
			}
		}
		slices.Reverse(refs)
		slices.Reverse(texts)
	}
	return nil
}

// readNone: no question, no answer, no request.
func readNone(ctx context.Context, h Harness) error {
	before := h.Requests()
	results, err := h.Backend.Reader.Read(ctx, nil)
	if err != nil || len(results) != 0 {
		return fmt.Errorf("%d answers and error code %q to no question", len(results), backend.CodeOf(err))
	}
	if n := h.Requests() - before; n != 0 {
		return fmt.Errorf("%d requests for no question", n)
	}
	return nil
}

// readBinary: values are bytes, not text.
func readBinary(ctx context.Context, h Harness) error {
	want := h.secret("\x00 NUL, \xff\xfe no UTF-8, \r\n line end, \xef\xbb\xbf mark \x00")
	return h.holds(ctx, h.Seed("binary", want), want)
}

// readEmpty: a value without bytes is there. Taken for a missing one, it would
// keep or remove a key that the store says is empty.
func readEmpty(ctx context.Context, h Harness) error {
	want := h.secret("")
	return h.holds(ctx, h.Seed("empty", want), want)
}

// readLarge: nothing is cut off.
func readLarge(ctx context.Context, h Harness) error {
	size := 64 << 10
	if most := h.Backend.Limits.Payload; most > 0 {
		size = min(size, most)
	}
	want := h.secret(strings.Repeat("0123456789abcdef", size/16))
	return h.holds(ctx, h.Seed("large", want), want)
}

// readFields: all fields of a secret come in one answer, under their names.
func readFields(ctx context.Context, h Harness) error {
	want := backend.Secret{Fields: map[string]backend.Value{
		"user.name":  backend.NewValue([]byte("somebody")),
		"password":   backend.NewValue([]byte(`"quoted" {json} <&> ü`)),
		"UPPER_case": backend.NewValue([]byte(" space ")),
	}}
	return h.holds(ctx, h.Seed("fields", want), want)
}

// readMissing: a missing secret is proven missing, in its own Result.
func readMissing(ctx context.Context, h Harness) error {
	refs := h.seedAll("a", "gone", "b")
	h.Remove(refs[1])
	results, err := h.read(ctx, refs...)
	if err != nil {
		return fmt.Errorf("one missing secret fails the whole call with code %q", backend.CodeOf(err))
	}
	return errors.Join(
		coded("reading a missing secret", results[1].Err, h.Missing),
		neighbours(h, results),
	)
}

// neighbours returns an error unless the first result holds "a" and the third
// holds "b".
func neighbours(h Harness, results []backend.Result) error {
	for i, text := range map[int]string{0: "a", 2: "b"} {
		if err := results[i].Err; err != nil {
			return fmt.Errorf("a failure spoils its neighbour, which has code %q", backend.CodeOf(err))
		}
		if err := h.same(results[i].Ref, results[i].Secret, h.secret(text)); err != nil {
			return err
		}
	}
	return nil
}

// readBadRef: a question that cannot be right is found without asking.
func readBadRef(ctx context.Context, h Harness) error {
	refs := h.seedAll("a", "b")
	before := h.Requests()
	_, err := h.readOne(ctx, h.BadRef)
	if err := coded("reading a ref that cannot be right", err, backend.InvalidRef); err != nil {
		return err
	}
	if n := h.Requests() - before; n != 0 {
		return fmt.Errorf("%d requests for a ref that cannot be right", n)
	}
	results, err := h.read(ctx, refs[0], h.BadRef, refs[1])
	if err != nil {
		return fmt.Errorf("one bad ref fails the whole call with code %q", backend.CodeOf(err))
	}
	return errors.Join(
		coded("reading a ref that cannot be right", results[1].Err, backend.InvalidRef),
		neighbours(h, results),
	)
}

// readOneRequest: a Read of as many refs as the batch allows is one request.
func readOneRequest(ctx context.Context, h Harness) error {
	refs := h.seedAll("a", "b", "c", "d", "e")
	refs = refs[:min(len(refs), max(1, h.Backend.Limits.Batch))]
	for range 2 { // the first logs in, and none may remember an answer
		before := h.Calls()
		if _, err := h.read(ctx, refs...); err != nil {
			return err
		}
		if n := h.Calls() - before; n != 1 {
			return fmt.Errorf("%d requests for one Read of %d refs", n, len(refs))
		}
	}
	return nil
}

// readCancelled: a Read ends with its context, before the request and while it
// waits for the answer.
func readCancelled(ctx context.Context, h Harness) error {
	ref := h.Seed("cancelled", h.secret("a"))
	read := func(ctx context.Context) error {
		return h.promptly("a Read whose context ended", func() error {
			_, err := h.readOne(ctx, ref)
			return coded("a Read whose context ended", err, backend.Unavailable)
		})
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := read(ended); err != nil || h.Hold == nil {
		return err
	}
	defer h.Hold(ref)()
	short, cancel := context.WithTimeout(ctx, 30*time.Millisecond)
	defer cancel()
	return read(short)
}

// readConcurrent: many goroutines may ask at once; worth most under -race.
func readConcurrent(ctx context.Context, h Harness) error {
	texts := []string{"a", "b", "c", "d", "e"}
	refs := h.seedAll(texts...)
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for g := range errs {
		wg.Go(func() {
			for i := range refs {
				k := (i + g) % len(refs)
				errs[g] = errors.Join(errs[g], h.holds(ctx, refs[k], h.secret(texts[k])))
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// scouts: what a read would change is known before it is read.
func (h Harness) scouts(ctx context.Context, ref backend.Ref, mutates bool) error {
	told := make([]error, 1)
	if s := h.Backend.Scout; s != nil {
		var err error
		if told, err = s.Scout(ctx, []backend.Ref{ref}); err != nil || len(told) != 1 {
			return fmt.Errorf("%s: a Scout with %d answers to one question: %w", ref, len(told), err)
		}
	}
	if untouched := errors.Is(told[0], backend.ErrUntouched); untouched != mutates || !untouched && told[0] != nil {
		return fmt.Errorf("%s: the Scout says %s, and reading changes it: %t", ref, fmt.Sprint(told[0]), mutates)
	}
	return nil
}

// readMutating: a secret that reading changes is marked, and no other is.
func readMutating(ctx context.Context, h Harness) error {
	for ref, want := range map[backend.Ref]bool{
		h.SeedMutating("mutating"):                true,
		h.Seed("constant", h.secret("unchanged")): false,
	} {
		s, err := h.readOne(ctx, ref)
		if err != nil {
			return fmt.Errorf("reading %s: %w", ref, err)
		}
		if s.ReadMutates != want {
			return fmt.Errorf("%s: ReadMutates is %t, want %t", ref, s.ReadMutates, want)
		}
		if err := h.scouts(ctx, ref, want); err != nil {
			return err
		}
	}
	return nil
}
