// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"context"
	"errors"
	"sync"
	"time"
)

// quietWithoutHint is how long a quota is left alone after a RateLimited that
// does not say.
const quietWithoutHint = 5 * time.Second

// A Store is a Backend as everybody but the backends uses it. It splits reads
// into what the product takes at once, runs as many as the product allows,
// checks that each answer belongs to its question, and goes quiet when told to.
type Store struct {
	name    string
	backend Backend
	quota   *Quota
	slots   chan struct{}
}

// NewStore wraps b. name is for messages.
func NewStore(name string, b Backend, q *Quota) *Store {
	return &Store{name: name, backend: b, quota: q, slots: make(chan struct{}, max(1, b.Limits.Parallel))}
}

// Name returns the name for messages.
func (s *Store) Name() string { return s.name }

// Capabilities returns what the store can do.
func (s *Store) Capabilities() []Capability { return s.backend.Capabilities() }

// Partial reports whether listings leave out what the login may not read.
func (s *Store) Partial() bool { return s.backend.Partial }

// Read returns one Result for each ref, in order. It has no error of its own:
// when a call fails, each of its results says so.
func (s *Store) Read(ctx context.Context, refs []Ref) []Result {
	out := make([]Result, len(refs))
	size := max(1, s.backend.Limits.Batch)
	var wg sync.WaitGroup
	for from := 0; from < len(refs); from += size {
		to := min(from+size, len(refs))
		if err := s.enter(ctx); err != nil {
			fill(out[from:], refs[from:], err)
			break
		}
		wg.Go(func() {
			defer func() { <-s.slots }()
			s.call(ctx, refs[from:to], out[from:to])
		})
	}
	wg.Wait()
	return out
}

// enter waits until one more call may be under way. A context that has ended
// never gets in, even where there is room.
func (s *Store) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case s.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// call makes one Read of the backend and puts its answers into out.
func (s *Store) call(ctx context.Context, refs []Ref, out []Result) {
	if err := s.silenced(); err != nil {
		fill(out, refs, err)
		return
	}
	answers, err := s.backend.Reader.Read(WithOperation(ctx, OpRead), refs)
	if err == nil && len(answers) != len(refs) {
		err = Errorf(Unknown, "%s answered %d of %d questions", s.name, len(answers), len(refs))
	}
	if err != nil {
		s.heed(err)
		fill(out, refs, err)
		return
	}
	for i, a := range answers {
		// Without this check one off-by-one in a backend hands a workload
		// somebody else's password.
		if a.Ref != refs[i] {
			a = Result{Ref: refs[i], Err: Errorf(Unknown, "%s answered another question than %s", s.name, refs[i])}
		}
		if a.Err != nil {
			s.heed(a.Err)
			a.Secret = Secret{}
		}
		out[i] = a
	}
}

// Find returns everything that q matches, or Conflict when that is more than
// limit.
func (s *Store) Find(ctx context.Context, q Query, limit int) ([]Found, error) {
	if s.backend.Finder == nil {
		return nil, Errorf(InvalidRef, "%s cannot list secrets", s.name)
	}
	if err := s.silenced(); err != nil {
		return nil, err
	}
	var out []Found
	for f, err := range s.backend.Finder.Find(WithOperation(ctx, OpFind), q) {
		if err != nil {
			s.heed(err)
			return nil, ours(err)
		}
		if len(out) == limit {
			return nil, Errorf(Conflict, "more than %d secrets match; narrow the search", limit)
		}
		out = append(out, f)
	}
	return out, nil
}

// Probe returns one token for each ref, or an error when nothing could be
// told. Without a Prober all tokens are empty.
func (s *Store) Probe(ctx context.Context, refs []Ref) ([]string, error) {
	if s.backend.Prober == nil {
		return make([]string, len(refs)), nil
	}
	if err := s.silenced(); err != nil {
		return nil, err
	}
	tokens, err := s.backend.Prober.Probe(WithOperation(ctx, OpProbe), refs)
	if err != nil {
		s.heed(err)
		return nil, ours(err)
	}
	if len(tokens) != len(refs) {
		return nil, Errorf(Unknown, "%s answered %d of %d questions", s.name, len(tokens), len(refs))
	}
	return tokens, nil
}

// Check tells whether the store can be logged in to. A store that cannot be
// checked counts as good.
func (s *Store) Check(ctx context.Context) error {
	if s.backend.Checker == nil {
		return nil
	}
	if err := s.silenced(); err != nil {
		return err
	}
	if err := s.backend.Checker.Check(WithOperation(ctx, OpCheck)); err != nil {
		s.heed(err)
		return ours(err)
	}
	return nil
}

// Watch calls notify for changes until ctx ends or the stream breaks, which is
// an error. Without a Watcher it is InvalidRef.
func (s *Store) Watch(ctx context.Context, notify func(Ref)) error {
	if s.backend.Watcher == nil {
		return Errorf(InvalidRef, "%s tells nobody of changes", s.name)
	}
	if err := s.silenced(); err != nil {
		return err
	}
	err := s.backend.Watcher.Watch(WithOperation(ctx, OpWatch), notify)
	if err == nil {
		err = Errorf(Unavailable, "%s ended the stream of changes", s.name)
	}
	s.heed(err)
	return err
}

// Renew extends the lease of a secret. Without a Lessor it is NotFound: the
// lease ends when it ends.
func (s *Store) Renew(ctx context.Context, id string) (Lease, error) {
	if s.backend.Lessor == nil {
		return Lease{}, Errorf(NotFound, "%s renews no leases", s.name)
	}
	if err := s.silenced(); err != nil {
		return Lease{}, err
	}
	lease, err := s.backend.Lessor.Renew(WithOperation(ctx, OpRenew), id)
	if err != nil {
		s.heed(err)
		return Lease{}, ours(err)
	}
	return lease, nil
}

// Revoke ends the lease of a secret. Without a Lessor it ends by itself.
func (s *Store) Revoke(ctx context.Context, id string) error {
	if s.backend.Lessor == nil {
		return nil
	}
	if err := s.silenced(); err != nil {
		return err
	}
	if err := s.backend.Lessor.Revoke(WithOperation(ctx, OpRevoke), id); err != nil {
		s.heed(err)
		return ours(err)
	}
	return nil
}

// Close lets go of the backend's connections.
func (s *Store) Close() error {
	if s.backend.Close == nil {
		return nil
	}
	return s.backend.Close()
}

// silenced returns the error to give while the quota is quiet.
func (s *Store) silenced() error {
	d := s.quota.Quiet()
	if d <= 0 {
		return nil
	}
	return &Error{Code: RateLimited, Message: s.name + " limits our requests", RetryAfter: d}
}

// heed silences the quota when the store asked for it. Of several calls that
// were under way, the one that was asked to wait longest counts.
func (s *Store) heed(err error) {
	if CodeOf(err) != RateLimited {
		return
	}
	d := RetryAfterOf(err)
	if d <= 0 && s.quota.Quiet() > 0 {
		return
	}
	if d <= 0 {
		d = quietWithoutHint
	}
	s.quota.Silence(d)
}

// fill answers every question with the same error.
func fill(out []Result, refs []Ref, err error) {
	err = ours(err)
	for i, r := range refs {
		out[i] = Result{Ref: r, Err: err}
	}
}

// ours puts an error that is not the contract's into our words: it may repeat
// what a server said, and that what it was sent.
func ours(err error) error {
	if e := (*Error)(nil); errors.As(err, &e) {
		return err
	}
	message := "the store failed for an unknown reason"
	if CodeOf(err) == Unavailable {
		message = "the store did not answer in time"
	}
	return &Error{Code: CodeOf(err), Message: message, Err: err}
}
