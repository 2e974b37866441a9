// SPDX-License-Identifier: Apache-2.0

package feed

import "github.com/lockstep-secrets/lockstep/backend"

// cache keeps values and listings within a bound, and drops the one that was not used for
// the longest time. Secrets that reading changes are kept outside the bound:
// dropping one would mean to change it.
type cache struct {
	limit          int
	used           int
	oldest, newest *ref
}

// put keeps a value.
func (c *cache) put(r *ref, s backend.Secret) {
	c.drop(r)
	r.value = &s
	if !s.ReadMutates {
		c.keep(r, sizeOf(s))
	}
}

// putList keeps a listing.
func (c *cache) putList(r *ref, found []backend.Found) {
	c.drop(r)
	r.listing.found = found
	c.keep(r, listed(found))
}

// keep makes room for what was put.
func (c *cache) keep(r *ref, size int) {
	if size > c.limit {
		c.drop(r)
		return
	}
	r.size = size
	c.used += size
	c.append(r)
	for c.used > c.limit {
		c.drop(c.oldest)
	}
}

// touch notes that a value was used.
func (c *cache) touch(r *ref) {
	if r.size == 0 || c.newest == r {
		return
	}
	c.unlink(r)
	c.append(r)
}

// drop forgets a value.
func (c *cache) drop(r *ref) {
	if r.size > 0 {
		c.used -= r.size
		c.unlink(r)
	}
	r.value, r.size = nil, 0
	if r.listing != nil {
		r.listing.found = nil
	}
}

func (c *cache) append(r *ref) {
	r.older, r.newer = c.newest, nil
	if c.newest != nil {
		c.newest.newer = r
	}
	c.newest = r
	if c.oldest == nil {
		c.oldest = r
	}
}

func (c *cache) unlink(r *ref) {
	if r.older != nil {
		r.older.newer = r.newer
	}
	if r.newer != nil {
		r.newer.older = r.older
	}
	if c.oldest == r {
		c.oldest = r.newer
	}
	if c.newest == r {
		c.newest = r.older
	}
	r.older, r.newer = nil, nil
}
