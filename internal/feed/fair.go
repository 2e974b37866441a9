// SPDX-License-Identifier: Apache-2.0

package feed

import "slices"

// What waits to be read belongs to namespaces, and these take turns: within a
// login that many namespaces use, and between the logins of an account. One that
// brings a thousand manifests waits for itself, not the others for it.

// line is what waits for one login: first come, first served within each
// namespace. To take one out costs the same however many wait.
type line struct {
	queues map[string][]*ref
	turns  []string // the namespaces of queues; the first is next
}

// join makes a secret wait. Its namespace is that of somebody who asks for it.
func (n *line) join(r *ref) {
	if n.queues == nil {
		n.queues = map[string][]*ref{}
	}
	ns := r.namespace()
	if _, ok := n.queues[ns]; !ok {
		n.turns = append(n.turns, ns)
	}
	n.queues[ns] = append(n.queues[ns], r)
}

// size is how many wait, and were not passed over yet.
func (n *line) size() int {
	out := 0
	for _, queue := range n.queues {
		out += len(queue)
	}
	return out
}

// head returns the namespace whose turn it is, and its first secret in that
// place; nil when nothing waits. Those that moved to another place, or that
// nobody follows any more, are passed over.
func (n *line) head(p place) (turn string, first *ref) {
	for len(n.turns) > 0 {
		ns := n.turns[0]
		queue := n.queues[ns]
		for len(queue) > 0 && queue[0].place != p {
			queue[0] = nil
			queue = queue[1:]
		}
		if len(queue) > 0 {
			n.queues[ns] = queue
			return ns, queue[0]
		}
		n.turns = n.turns[1:]
		delete(n.queues, ns)
	}
	return "", nil
}

// leave takes out what head returned. It is the turn of others then.
func (n *line) leave() {
	ns := n.turns[0]
	n.queues[ns][0] = nil
	n.queues[ns] = n.queues[ns][1:]
	n.turns = append(n.turns[1:], ns)
}

// namespace is that of one of those who ask for a secret.
func (r *ref) namespace() string {
	for q := range r.asked {
		return q.follower.id.Namespace
	}
	return ""
}

// before reports whether a namespace was served longer ago than another.
func (a *account) before(one, other string) bool {
	if a.served[one] != a.served[other] {
		return a.served[one] < a.served[other]
	}
	return one < other
}

// serve notes that it was a namespace's turn.
func (a *account) serve(ns string) {
	if a.served == nil {
		a.served = map[string]uint64{}
	}
	a.turns++
	a.served[ns] = a.turns
}

// next takes the login out of those that wait for room whose turn it is: urgent
// reads first, and then by namespace. It returns nil when none waits.
func (a *account) next() *login {
	best, bestUrgent, bestTurn := -1, false, ""
	for i, l := range a.waiting {
		turn, first := l.urgent.head(inUrgent)
		urgent := first != nil
		if !urgent {
			if turn, first = l.routine.head(inRoutine); first == nil {
				turn = "" // nothing waits any more, and it may go
			}
		}
		if best < 0 || urgent && !bestUrgent || urgent == bestUrgent && a.before(turn, bestTurn) {
			best, bestUrgent, bestTurn = i, urgent, turn
		}
	}
	if best < 0 {
		return nil
	}
	l := a.waiting[best]
	a.waiting = slices.Delete(a.waiting, best, best+1)
	l.lined = false
	return l
}

// rest forgets whose turn it was, when nobody waits.
func (a *account) rest() {
	if a.running == 0 && len(a.waiting) == 0 {
		a.served, a.turns = nil, 0
	}
}
