// SPDX-License-Identifier: Apache-2.0

package shadow

import (
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// Report holds what would become of each object. There is one entry for each
// object that exists, and none for others.
type Report struct {
	leads atomic.Bool

	mu      sync.Mutex
	objects map[spec.ID]Object
}

// NewReport makes an empty Report.
func NewReport() *Report { return &Report{objects: map[spec.ID]Object{}} }

// Lead says that this replica is the one that looks. A nil Report has no use for
// that.
func (r *Report) Lead() {
	if r != nil {
		r.leads.Store(true)
	}
}

// Begin notes an object that is about to be looked at. What is known of it stays.
func (r *Report) Begin(s spec.Spec) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.objects[s.Object.ID()]; !known {
		r.objects[s.Object.ID()] = Of(s)
	}
}

// Set notes what would become of an object.
func (r *Report) Set(id spec.ID, o Object) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.objects[id] = o
}

// Drop forgets an object. A nil Report has none.
func (r *Report) Drop(id spec.ID) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.objects, id)
}

// Count is of how many objects a series tells.
type Count struct {
	Dialect, Namespace string
	Result             Result
}

// Counts returns how many objects of each namespace have each result.
func (r *Report) Counts() map[Count]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[Count]int{}
	for _, o := range r.objects {
		out[Count{o.Dialect, o.Namespace, o.Result}]++
	}
	return out
}

// Document is what the report is served as.
type Document struct {
	Objects []Object `json:"objects"`
}

// Document returns all objects, in order.
func (r *Report) Document() Document {
	r.mu.Lock()
	out := Document{Objects: make([]Object, 0, len(r.objects))}
	for _, o := range r.objects {
		out.Objects = append(out.Objects, o)
	}
	r.mu.Unlock()
	slices.SortFunc(out.Objects, Compare)
	return out
}

// ServeHTTP answers with the report as JSON.
func (r *Report) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	switch {
	case req.Method != http.MethodGet:
		http.Error(w, "GET only", http.StatusMethodNotAllowed)
	case !r.leads.Load():
		http.Error(w, "this replica does not lead; ask the one that holds the lease", http.StatusServiceUnavailable)
	default:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(r.Document()) // who asked has gone
	}
}
