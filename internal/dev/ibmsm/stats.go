// SPDX-License-Identifier: Apache-2.0

package ibmsm

import (
	"encoding/json"
	"maps"
	"net/http"
	"sync"
	"time"
)

// Stats counts requests since the start or the last reset. A request counts when it arrives, whatever the answer is.
type Stats struct {
	Total int          `json:"total"` // all kinds, tokens included
	Kinds map[Kind]int `json:"kinds"`
	// Peak is the most API requests in any one-second window; token requests are IAM's and do not count.
	Peak int `json:"peak_per_second"`
	// Limited is how many requests got 429 from Options.RateLimit.
	Limited int `json:"rate_limited"`
	// Reads is how often a value was asked for, by secret id.
	Reads map[string]int `json:"reads"`
	// Grants is how often each grant was asked of IAM: apikey, cr-token, assume, or what the request named.
	Grants map[string]int `json:"grants"`
	// KeysMade is how many API keys reads have made, by id of the iam_credentials without reuse. Each made the former one
	// useless.
	KeysMade map[string]int `json:"keys_made"`
}

// traffic counts requests and decides the rate limit.
type traffic struct {
	mu       sync.Mutex
	stats    Stats
	arrived  window
	admitted window
}

func newTraffic() *traffic { return &traffic{stats: emptyStats()} }

func emptyStats() Stats {
	return Stats{Kinds: map[Kind]int{}, Reads: map[string]int{}, Grants: map[string]int{}, KeysMade: map[string]int{}}
}

// window holds the instants of the last second, oldest first.
type window []time.Time

// since drops what is a second old or older at now.
func (w window) since(now time.Time) window {
	start := now.Add(-time.Second)
	for len(w) > 0 && !w[0].After(start) {
		w = w[1:]
	}
	return w
}

// arrive counts a request and says whether the rate permits it; a refused one does not use up the rate.
func (t *traffic) arrive(now time.Time, k Kind, id string, limit int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stats.Total++
	t.stats.Kinds[k]++
	if (k == KindGet || k == KindGetByName) && id != "" {
		t.stats.Reads[id]++
	}
	if k == KindToken {
		return true
	}
	t.arrived = append(t.arrived.since(now), now)
	t.stats.Peak = max(t.stats.Peak, len(t.arrived))
	if limit <= 0 {
		return true
	}
	t.admitted = t.admitted.since(now)
	if len(t.admitted) >= limit {
		t.stats.Limited++
		return false
	}
	t.admitted = append(t.admitted, now)
	return true
}

func (t *traffic) granted(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stats.Grants[name]++
}

func (t *traffic) minted(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stats.KeysMade[id]++
}

// Stats is a copy of the counters.
func (s *Server) Stats() Stats {
	t := s.traffic
	t.mu.Lock()
	defer t.mu.Unlock()
	out := t.stats
	out.Kinds, out.Reads = maps.Clone(out.Kinds), maps.Clone(out.Reads)
	out.Grants, out.KeysMade = maps.Clone(out.Grants), maps.Clone(out.KeysMade)
	return out
}

// ResetStats sets all counters to zero. The rate limit goes on as it was.
func (s *Server) ResetStats() {
	t := s.traffic
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stats, t.arrived = emptyStats(), nil
}

func (s *Server) serveStats(w http.ResponseWriter, _ *http.Request) {
	body, err := json.Marshal(s.Stats())
	if err != nil {
		http.Error(w, "the counters cannot be encoded", http.StatusInternalServerError)
		return
	}
	writeJSON(w, http.StatusOK, body)
}

func (s *Server) serveResetStats(w http.ResponseWriter, _ *http.Request) {
	s.ResetStats()
	w.WriteHeader(http.StatusNoContent)
}
