// SPDX-License-Identifier: Apache-2.0

package lodash

import (
	"cmp"
	"math"
	"slices"
	"strconv"
)

// smallObject is the most keys that an object finds by walking over them.
const smallObject = 8

// newObject takes over keys and values, in the order in which they were defined, and brings them into the order of own
// keys (ECMA-262, OrdinaryOwnPropertyKeys): array indices ascending, then the rest as defined. A repeated key keeps its
// first place and its last value.
func newObject(keys []string, values []node) *list {
	l := &list{keys: keys[:0], values: values[:0]}
	if len(keys) > smallObject {
		l.at = make(map[string]int, len(keys))
	}
	indices := false
	for i, key := range keys {
		if at, ok := l.find(key); ok {
			l.values[at] = values[i]
			continue
		}
		if l.at != nil {
			l.at[key] = len(l.keys)
		}
		// In place: what is kept is never longer than what was read.
		l.keys, l.values = append(l.keys, key), append(l.values, values[i])
		_, ok := arrayIndex(key)
		indices = indices || ok
	}
	clear(values[len(l.values):])
	if indices {
		l.sortIndices()
	}
	return l
}

// find returns the position of an object's key.
func (l *list) find(key string) (int, bool) {
	if l.at != nil {
		i, ok := l.at[key]
		return i, ok
	}
	i := slices.Index(l.keys, key)
	return i, i >= 0
}

// sortIndices moves the keys that are array indices to the front, in ascending order.
func (l *list) sortIndices() {
	type member struct {
		key   string
		value node
		rank  int64
	}
	const last = math.MaxUint32 // above every array index
	members := make([]member, len(l.keys))
	for i, key := range l.keys {
		rank, ok := arrayIndex(key)
		if !ok {
			rank = last
		}
		members[i] = member{key, l.values[i], rank}
	}
	slices.SortStableFunc(members, func(a, b member) int { return cmp.Compare(a.rank, b.rank) })
	for i, m := range members {
		l.keys[i], l.values[i] = m.key, m.value
		if l.at != nil {
			l.at[m.key] = i
		}
	}
}

// arrayIndex parses a key that is an array index: a canonical decimal from 0 to 2^32-2.
func arrayIndex(key string) (int64, bool) {
	if key == "" || len(key) > 10 || key[0] == '0' && key != "0" {
		return 0, false
	}
	var i int64
	for _, c := range []byte(key) {
		if c < '0' || c > '9' {
			return 0, false
		}
		i = i*10 + int64(c-'0')
	}
	return i, i < math.MaxUint32
}

// indexed are the entries "0", "1" and so on of values.
func indexed(values []node) []Entry {
	entries := make([]Entry, len(values))
	for i := range values {
		entries[i] = Entry{strconv.Itoa(i), wrap(&values[i])}
	}
	return entries
}
