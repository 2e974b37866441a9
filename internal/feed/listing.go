// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// A listing is followed like a secret: made once for all who ask the same, at
// its phase, within the same queues. What it yielded has changed when another
// set of secrets matches, or a value that came along is another. It is never
// probed, for no product tells versions of a listing.
//
// What a listing yields without a value is read too, and is what the object
// follows besides. Asking for that is the object's business, but for one that
// rests: it is woken when all of it had its turn, and not by the listing
// already, so that a restart reads nothing at once.

// maxHits is how many secrets a listing may yield. A Secret holds no more.
const maxHits = 5000

// listing is what a ref has that is no single secret.
type listing struct {
	query backend.Query
	found []backend.Found // the last good ones, sorted; nil when dropped from the cache
	size  int             // how many these were
}

// reply is what a store answered about one ref.
type reply struct {
	backend.Result
	found  []backend.Found   // of a listing, sorted and not nil when it is good
	digest [sha256.Size]byte // of a listing
}

// replies are results of reads.
func replies(results []backend.Result) []reply {
	out := make([]reply, len(results))
	for i, r := range results {
		out[i].Result = r
	}
	return out
}

// list makes a listing.
func (f *Feed) list(ctx context.Context, r *ref) reply {
	found, err := r.login.store.Find(ctx, r.listing.query, maxHits)
	if err != nil {
		return reply{Result: backend.Result{Err: err}}
	}
	out := reply{}
	out.found, out.digest = sorted(f.key, found)
	return out
}

// sorted brings hits into the one order they have, without doubles, and returns
// a keyed digest of them.
func sorted(key []byte, found []backend.Found) ([]backend.Found, [sha256.Size]byte) {
	type hit struct {
		backend.Found
		digest [sha256.Size]byte
	}
	hits := make([]hit, len(found))
	for i, f := range found {
		hits[i] = hit{f, digestOf(key, asSecret(f))}
	}
	slices.SortFunc(hits, func(a, b hit) int {
		return cmp.Or(a.Ref.Compare(b.Ref), strings.Compare(a.Name, b.Name), slices.Compare(a.digest[:], b.digest[:]))
	})
	hits = slices.CompactFunc(hits, func(a, b hit) bool { return a.digest == b.digest })
	h := hmac.New(sha256.New, key)
	out := make([]backend.Found, len(hits))
	for i, x := range hits {
		out[i] = x.Found
		_, _ = h.Write(x.digest[:])
	}
	var sum [sha256.Size]byte
	h.Sum(sum[:0])
	return out, sum
}

// asSecret is all that matters of a hit, in the form that digestOf takes.
func asSecret(f backend.Found) backend.Secret {
	text := func(s string) backend.Value { return backend.NewValue([]byte(s)) }
	out := backend.Secret{Fields: map[string]backend.Value{
		"path": text(f.Ref.Path), "version": text(f.Ref.Version), "kind": text(f.Ref.Kind),
		"args": text(f.Ref.Args), "owner": text(f.Ref.Owner), "name": text(f.Name),
		"part": backend.NewValue([]byte{byte(f.Ref.Part)}),
	}}
	if f.Secret != nil {
		for name, v := range f.Secret.Fields {
			out.Fields["field "+name] = v
		}
		out.Payload = f.Secret.Payload
		out.Fields["value"] = text("")
	}
	return out
}

// listed is how many bytes hits take in the cache, roughly.
func listed(found []backend.Found) int {
	n := 256
	for _, f := range found {
		n += 192 + len(f.Ref.Path) + len(f.Ref.Args) + len(f.Name)
		if f.Secret != nil {
			n += sizeOf(*f.Secret)
		}
	}
	return n
}

// standIn is a ref in place of what a question is about, for its phase.
func standIn(key plan.Key) backend.Ref {
	if !key.Listing {
		return key.Ref
	}
	q := key.Query
	return backend.Ref{Path: q.Path, Kind: q.Kind, Args: q.Name, Owner: q.Tags, Part: 255}
}

// hits yields what the object's listings say it has to read, and the opening to
// read it through.
func (fo *follower) hits(yield func(plan.Key, *opening) bool) {
	for _, q := range fo.questions.list {
		if q.ref.listing == nil {
			continue
		}
		found := q.ref.listing.found
		if q.answer != nil {
			found = q.answer.Found
		}
		for _, hit := range found {
			if hit.Secret == nil && !yield(plan.Key{Store: q.opening.key.store, Ref: hit.Ref}, q.opening) {
				return
			}
		}
	}
}

// widen makes objects that rest follow what a listing yielded.
func (f *Feed) widen(r *ref, now time.Time) {
	for q := range r.asked {
		fo := q.follower
		if !fo.resting || fo.mode == spec.Pinned {
			continue
		}
		for key, o := range fo.hits {
			if fo.questions.get(key) == nil {
				f.want(fo, key, o, nil, now)
			}
		}
	}
}

// forgetAnswers lets go of the answers that were kept for an object.
func (fo *follower) forgetAnswers() {
	for _, q := range fo.questions.list {
		q.answer = nil
	}
}

// expanded reports whether the object follows all that its listings yielded.
// One that does not will ask again, for that and the same listings.
func (fo *follower) expanded() bool {
	for key := range fo.hits {
		if fo.questions.get(key) == nil {
			return false
		}
	}
	return true
}
