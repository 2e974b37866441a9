// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"github.com/lockstep-secrets/lockstep/internal/plan"
)

// few is how many questions are looked through one by one.
const few = 32

// questions are those of one object. A key is large, and all that is in it is
// known otherwise: with a map of keys a thousand objects would take a megabyte
// more.
type questions struct {
	list  []*question
	index map[plan.Key]*question // nil while there are few
}

// key is what a question is about, as the plan has it.
func (q *question) key() plan.Key {
	out := plan.Key{Store: q.opening.key.store}
	if l := q.ref.listing; l != nil {
		out.Listing, out.Query = true, l.query
		return out
	}
	out.Ref = q.ref.ref
	out.Ref.Owner = "" // which the feed sets
	return out
}

// get returns the question about something, or nil.
func (s *questions) get(key plan.Key) *question {
	if s.index != nil {
		return s.index[key]
	}
	for _, q := range s.list {
		if (q.ref.listing != nil) == key.Listing && q.ref.ref.Path == key.Ref.Path && q.key() == key {
			return q
		}
	}
	return nil
}

// add adds a question about something that there is none about.
func (s *questions) add(q *question) {
	s.list = append(s.list, q)
	switch {
	case s.index != nil:
		s.index[q.key()] = q
	case len(s.list) > few:
		s.index = make(map[plan.Key]*question, 2*len(s.list))
		for _, q := range s.list {
			s.index[q.key()] = q
		}
	}
}
