// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/backends/memory"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// What a manager may do to us, and which test holds it. What is not below is in
// the file that is named; how a product's answer becomes a code is in
// backends/*/errors_test.go.
//
//	fault                         many refs and objects, here       what else holds it
//	429 with Retry-After          TestFaults "429, a wait"          TestRateLimited, TestRetry, backend TestStoreGoesQuiet
//	429 without                   TestFaults "429, no wait"         backend TestStoreGoesQuiet
//	500s                          TestFaults "500", "500, flapping" TestOutage, TestBackoff, TestProbesOneAtATime
//	slow answers                  TestFaults "slow", "too slow"     TestAHangingReadEnds, TestSlowReadsKeepTheirPhase
//	resets                        TestFaults "reset"                backendtest; TestOneFailingReadIsNoOutage
//	half JSON                     TestFaults "half JSON"            backendtest, backends/*
//	the wrong order               TestFaults "order", "too few"     backend TestStoreChecksAnswers
//	nobody understands it         TestFaults "conflicts", "half bad" TestManyThatFailShareTheirRetries
//	one bad item in a batch       TestFaults, TestOneBadItemInABatch backendtest; TestOneFailingSecretIsNoOutage
//	credentials that expire       TestCredentialsExpire             TestRotatedCredentials, test/vault TestSecretIDRotated
//	a manager down for an hour    TestDownForAnHour                 TestOutage (dead store, ten minutes)
//	a clock that jumps            TestClockJumps, TestNextByAnyClock TestNext
//	a manager that was emptied                                      breaker_test.go
//	a restart meanwhile                                             TestRestartIsNoBurst, test/faults
//	API server away, SIGKILL,                                       test/faults
//	a leader that was stopped

const (
	// manyRefs are followed by half as many objects.
	manyRefs = 200
	// cycle is the interval of all of them.
	cycle = 10 * time.Minute
	// rate is what the account allows in a second.
	rate = 20
	// tries is how often a secret that fails by itself is tried in an hour, at
	// most: after 1s, 2s … 256s, with jitter, and in each cycle.
	tries = 10 + 6
)

// trouble is what becomes of the reads of all stores. calls counts from when it
// began.
type trouble struct {
	mu      sync.Mutex
	answer  answers
	calls   int
	running int
	most    int // that were under way at once
}

// answers makes the answer of one Read. own asks the store, which is the
// request.
type answers func(ctx context.Context, call int, refs []backend.Ref, own func() ([]backend.Result, error)) ([]backend.Result, error)

// begin changes what becomes of reads; nil is the end of all trouble.
func (tr *trouble) begin(a answers) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.answer, tr.calls, tr.most = a, 0, tr.running
}

type troubled struct {
	backend.Reader
	tr *trouble
}

func (r troubled) Read(ctx context.Context, refs []backend.Ref) ([]backend.Result, error) {
	tr := r.tr
	tr.mu.Lock()
	tr.calls++
	call, answer := tr.calls, tr.answer
	tr.running++
	tr.most = max(tr.most, tr.running)
	tr.mu.Unlock()
	defer func() {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		tr.running--
	}()
	own := func() ([]backend.Result, error) { return r.Reader.Read(ctx, refs) }
	if answer == nil {
		return own()
	}
	return answer(ctx, call, refs, own)
}

// A fleet is many objects and what is in their Secrets: what they were told when
// they were woken, as a reconciler writes it.
type fleet struct {
	*world
	fault   trouble
	paths   []string
	objects []string
	secrets map[string]map[string]string // object and path
	creds   func(spec.Store) backend.Credentials
	apart   bool // each object has a login of its own
}

// inFleet runs a test with a fleet that is in sync with the first version of
// everything, for an interval already.
func inFleet(t *testing.T, mo memory.Options, apart bool, test func(t *testing.T, c *fleet)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &fleet{
			world: newWorld(t, memory.NewWith(mo), Options{}), paths: names("p", manyRefs), objects: names("o", manyRefs/2),
			secrets: map[string]map[string]string{}, creds: holding("old"), apart: apart,
		}
		d := c.feed.opts.Drivers["memory"]
		open := d.Open
		d.Open = func(ctx context.Context, cfg backend.Config, creds backend.Credentials, h *http.Client) (backend.Backend, backend.Identity, error) {
			b, id, err := open(ctx, cfg, creds, h)
			b.Reader = troubled{b.Reader, &c.fault}
			return b, id, err
		}
		c.feed.opts.Drivers["memory"] = d
		c.start()
		c.write("v1")
		for i, o := range c.objects {
			c.secrets[o] = map[string]string{}
			c.feed.Follow(t.Context(), c.of(i, "1"), c.creds)
			c.ask(o)
		}
		c.live(2*cycle, nil)
		c.wantAll("v1", "before the fault")
		test(t, c)
	})
}

// of is what an object follows, through an edition of the store: a ref of its
// own, one that its neighbour follows too, and one of the other neighbour's.
func (c *fleet) of(i int, revision string) Subscription {
	login := "all"
	if c.apart {
		login = c.objects[i]
	}
	return sub(c.objects[i], cycle, c.paths[2*i], c.paths[2*i+1], c.paths[(2*i+3)%manyRefs]).
		through(tenants(revision+login, fmt.Sprintf(`{"login":%q,"secret":{"name":"login","key":"token"}}`, login)))
}

// write makes a version of all secrets. Each value says whose it is.
func (c *fleet) write(version string) {
	for _, p := range c.paths {
		c.set(p+" "+version, p)
	}
}

// live lets time pass, a second at a time while something happens, and has those
// who are woken write their Secrets. It requires what must hold whatever
// happens, where codes are what people may hear of.
func (c *fleet) live(d time.Duration, codes []backend.Code) {
	c.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		c.pass(min(5*time.Second, time.Until(end)))
		for i, o := range c.objects {
			if c.woken(o) > 0 {
				c.reconcile(i, codes)
			}
		}
	}
}

// reconcile is what becomes of an object that was woken.
func (c *fleet) reconcile(i int, codes []backend.Code) {
	c.t.Helper()
	o := c.objects[i]
	s, ok := c.ask(o)
	if !ok {
		return // it is woken again
	}
	for key, a := range s {
		path, before := key.Ref.Path, c.secrets[o][key.Ref.Path]
		for _, err := range []error{a.Err, a.Stale} {
			if code := backend.CodeOf(err); err != nil && !slices.Contains(codes, code) {
				c.t.Fatalf("%s is told %s of %s", o, code, path)
			}
		}
		if a.Err != nil {
			continue // the Secret is left
		}
		now := string(a.Secret.Payload.Reveal())
		if !strings.HasPrefix(now, path+" v") || now < before {
			c.t.Fatalf("%s is told %q of %s, and had %q", o, now, path, before)
		}
		c.secrets[o][path] = now
	}
}

// wantAll requires that everybody has a version of everything, and that those
// who ask are told so.
func (c *fleet) wantAll(version, reason string) {
	c.t.Helper()
	for _, o := range c.objects {
		for key, a := range c.now(o) {
			want := key.Ref.Path + " " + version
			if got := c.secrets[o][key.Ref.Path]; got != want || text(a) != want {
				c.t.Fatalf("%s: %s has %q and is told %q, want %q", reason, o, got, text(a), want)
			}
		}
	}
}

// requests are when requests left since a moment.
func (c *fleet) requests(since time.Time) []time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []time.Time
	for _, at := range c.departures {
		if at.After(since) {
			out = append(out, at)
		}
	}
	return out
}

// peak is the most requests in any second.
func peak(at []time.Time) int {
	most, from := 0, 0
	for i := range at {
		for at[i].Sub(at[from]) >= time.Second {
			from++
		}
		most = max(most, i-from+1)
	}
	return most
}

// every answers each item in the same way.
func every(err error) answers {
	return func(_ context.Context, _ int, _ []backend.Ref, own func() ([]backend.Result, error)) ([]backend.Result, error) {
		out, _ := own()
		for i := range out {
			out[i] = backend.Result{Ref: out[i].Ref, Err: err}
		}
		return out, nil
	}
}

// whole fails each call.
func whole(err error) answers {
	return func(_ context.Context, _ int, _ []backend.Ref, own func() ([]backend.Result, error)) ([]backend.Result, error) {
		_, _ = own()
		return nil, err
	}
}

// mixed changes good answers.
func mixed(change func([]backend.Result) []backend.Result) answers {
	return func(_ context.Context, _ int, _ []backend.Ref, own func() ([]backend.Result, error)) ([]backend.Result, error) {
		out, err := own()
		return change(out), err
	}
}

// TestFaults: an hour of trouble, in which everything gets another version.
func TestFaults(t *testing.T) {
	const (
		lasts = 6 * cycle
		usual = 6 * manyRefs // requests in that time, were each ref read by itself
		along = manyRefs     // those besides, since everything changes once
		// nonsense are those to a store whose answers nobody understands: until that
		// is so for most secrets, and then as if it were dead.
		nonsense = manyRefs + tries*manyFail + int(lasts/probeEvery)*2
	)
	down := []backend.Code{backend.Unavailable}
	unknown := []backend.Code{backend.Unknown}
	limited := []backend.Code{backend.RateLimited}
	for name, c := range map[string]struct {
		reason string
		answer answers
		codes  []backend.Code // that people hear of
		most   int            // requests
		goes   bool           // the other version comes all the same
	}{
		"429, a wait": {
			"what is under way at once is asked again when the wait is over",
			every(&backend.Error{Code: backend.RateLimited, Message: "slow down", RetryAfter: 2 * time.Minute}),
			limited, 4 * 31, false,
		},
		"429, no wait":  {"who says nothing is asked no more than usual", every(backend.Errorf(backend.RateLimited, "slow down")), limited, usual, false},
		"500":           {"a dead store is probed", whole(backend.Errorf(backend.Unavailable, "out of order")), down, int(lasts/probeEvery)*2 + 20, false},
		"500, one each": {"the same of stores that read one by one", every(backend.Errorf(backend.Unavailable, "out of order")), down, int(lasts/probeEvery)*2 + 20, false},
		"500, flapping": {"half of the calls come through", flapping, down, 2 * usual, true},
		"slow":          {"as long as it is within the timeout, it is an answer", slow(25 * time.Second), nil, usual, true},
		"too slow":      {"nobody waits longer than the timeout", slow(31 * time.Second), down, int(lasts/probeEvery)*2 + 20, false},
		"reset":         {"an error that a backend forgot to classify", whole(syscall.ECONNRESET), unknown, nonsense, false},
		"half JSON":     {"no answer that can be read is none", every(backend.Errorf(backend.Unavailable, "it cannot be read")), down, int(lasts/probeEvery)*2 + 20, false},
		"order": {
			"nobody gets the value of another", mixed(func(r []backend.Result) []backend.Result {
				if len(r) == 1 {
					r[0].Ref.Path += "0" // another answer altogether
				}
				return append(r[1:], r[0])
			}), unknown, nonsense, false,
		},
		"too few":      {"nobody knows which one is missing", mixed(func(r []backend.Result) []backend.Result { return r[1:] }), unknown, nonsense, false},
		"one bad item": {"its neighbours are well", bad("p7"), unknown, usual + along + tries, true},
		"half bad": {
			"what fails costs little more than what is well", bad(names("p", manyRefs/2)...), unknown, usual + along + int(lasts/retryEvery) + tries*manyFail, true,
		},
		"conflicts": {"nobody understands that either", every(backend.Errorf(backend.Conflict, "?")), []backend.Code{backend.Conflict}, nonsense, false},
	} {
		t.Run(name, func(t *testing.T) {
			inFleet(t, memory.Options{Batch: 5, Parallel: 4, Rate: rate}, false, func(t *testing.T, w *fleet) {
				began := time.Now()
				w.fault.begin(c.answer)
				w.live(time.Minute, c.codes)
				w.write("v2")
				w.live(lasts-time.Minute, c.codes)
				if n := len(w.requests(began)); n > c.most || n == 0 {
					t.Errorf("%s: %d requests in an hour of it, want at most %d", c.reason, n, c.most)
				}
				if n := w.count("v2"); (n > 0) != c.goes {
					t.Errorf("%s: %d values came through", c.reason, n)
				}
				w.recovers("v2", c.codes, c.reason, manyRefs)
				if n := peak(w.requests(began)); n > rate {
					t.Errorf("%s: %d requests in a second, and %d are allowed", c.reason, n, rate)
				}
			})
		})
	}
}

// TestOneBadItemInABatch: its neighbours need no second request.
func TestOneBadItemInABatch(t *testing.T) {
	inFleet(t, memory.Options{Batch: 5, Parallel: 4, Rate: rate}, false, func(t *testing.T, w *fleet) {
		w.fault.begin(delayed(time.Millisecond, bad("p7"))) // so that all are asked for before the first answer
		w.write("v2")
		from := len(w.log())
		for _, o := range w.objects {
			w.feed.Ask(object(o), true) // so that there are batches
		}
		w.live(slack, []backend.Code{backend.Unknown})
		reads := map[string]int{}
		for _, r := range w.log()[from:] {
			reads[r.path]++
		}
		for i := 0; i < manyRefs; i += 2 { // the others are asked for twice
			if n := reads[w.paths[i]]; n != 1 {
				t.Errorf("%s was read %d times, want once", w.paths[i], n)
			}
		}
		if n := w.count("v2"); n < 3*(len(w.objects)-2) {
			t.Errorf("%d of %d values came, and p7 is in two Secrets only", n, 3*len(w.objects))
		}
	})
}

// bad makes secrets fail.
func bad(paths ...string) answers {
	return mixed(func(r []backend.Result) []backend.Result {
		for i := range r {
			if slices.Contains(paths, r[i].Ref.Path) {
				r[i] = backend.Result{Ref: r[i].Ref, Err: backend.Errorf(backend.Unknown, "it is broken")}
			}
		}
		return r
	})
}

// flapping fails every other call.
func flapping(_ context.Context, call int, _ []backend.Ref, own func() ([]backend.Result, error)) ([]backend.Result, error) {
	out, err := own()
	if call%2 == 0 {
		return nil, errDown
	}
	return out, err
}

// slow answers late, or not at all where nobody waits so long.
func slow(d time.Duration) answers {
	return delayed(d, func(_ context.Context, _ int, _ []backend.Ref, own func() ([]backend.Result, error)) ([]backend.Result, error) {
		return own()
	})
}

// delayed is another answer, given late.
func delayed(d time.Duration, a answers) answers {
	return func(ctx context.Context, call int, refs []backend.Ref, own func() ([]backend.Result, error)) ([]backend.Result, error) {
		out, err := a(ctx, call, refs, own)
		select {
		case <-time.After(d): // virtual
			return out, err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// count is how many values of a version are in Secrets.
func (c *fleet) count(version string) int {
	n := 0
	for _, s := range c.secrets {
		for _, v := range s {
			if strings.HasSuffix(v, " "+version) {
				n++
			}
		}
	}
	return n
}

// parallel is how many reads may be under way.
func (c *fleet) parallel() int {
	if c.apart {
		return backlog * rate
	}
	return 4
}

// recovers ends the trouble, and requires that all is current an interval later
// without a stampede: nothing is read more often than once because it is over,
// once because its turn came, and once because others changed, and as before from
// then on.
func (c *fleet) recovers(version string, codes []backend.Code, reason string, usual int) {
	c.t.Helper()
	from := len(c.log())
	c.fault.begin(nil)
	c.live(cycle, codes)
	reads := map[seen]int{}
	for _, r := range c.log()[from:] {
		r.at = time.Time{}
		reads[r]++
	}
	for r, n := range reads {
		if n > 3 {
			c.t.Fatalf("%s: %s was read %d times in the interval after it", reason, r.path, n)
		}
	}
	if most := c.parallel(); c.fault.most > most {
		c.t.Errorf("%s: %d reads under way at once, want at most %d", reason, c.fault.most, most)
	}
	c.live(slack, codes)
	c.wantAll(version, reason)
	from = len(c.log())
	c.live(cycle, nil)
	if n := len(c.log()) - from; n != usual {
		c.t.Errorf("%s: %d reads in the interval after that, want one for each of %d secrets", reason, n, usual)
	}
}

// holding is what stores are opened with while their Secret holds a token.
func holding(token string) func(spec.Store) backend.Credentials {
	return func(spec.Store) backend.Credentials { return keyring{key: token} }
}

// TestDownForAnHour: once it is back, everybody hears of it within an interval,
// and it is not overrun.
func TestDownForAnHour(t *testing.T) {
	const logins = manyRefs / 2
	for name, c := range map[string]struct {
		reason string
		rate   int // -1 is any
		apart  bool
		answer answers
		most   int // requests while it is down
		reads  int // in an interval in which all is well
	}{
		"refuses":       {"one login asks for all", rate, false, whole(errDown), int(hour/probeEvery)*2 + 20, manyRefs},
		"hangs":         {"each request takes as long as we wait", rate, false, slow(2 * hour), int(hour/probeEvery)*2 + 20, manyRefs},
		"no limit":      {"nothing but what may be under way at once bounds it", -1, false, whole(errDown), int(hour/probeEvery)*2 + 20, manyRefs},
		"many logins":   {"each of them probes, and all share the limit", rate, true, whole(errDown), 3 * logins * tries, 3 * logins},
		"hangs for all": {"those that hang take no room for good", rate, true, slow(2 * hour), 3 * logins * tries, 3 * logins},
	} {
		t.Run(name, func(t *testing.T) {
			inFleet(t, memory.Options{Batch: 5, Parallel: 4, Rate: c.rate}, c.apart, func(t *testing.T, w *fleet) {
				w.lingers(20 * time.Millisecond)
				down := []backend.Code{backend.Unavailable}
				began := time.Now()
				w.fault.begin(c.answer)
				w.live(hour/2, down)
				w.write("v2")
				w.live(hour/2, down)
				if n := len(w.requests(began)); n > c.most {
					t.Errorf("%s: %d requests while it was down, want at most %d", c.reason, n, c.most)
				}
				if w.count("v2") > 0 {
					t.Errorf("%s: it answered", c.reason)
				}
				w.recovers("v2", down, c.reason, c.reads)
				if n := peak(w.requests(began)); c.rate > 0 && n > c.rate {
					t.Errorf("%s: %d requests in a second, and %d are allowed", c.reason, n, c.rate)
				}
			})
		})
	}
}

// TestCredentialsExpire: what is refused is asked for at its turn only, and at
// once when the store or its credentials changed.
func TestCredentialsExpire(t *testing.T) {
	for name, c := range map[string]struct {
		reason   string
		revision string
		touch    bool
	}{
		"the Secret changes": {"its new token is another login", "1", true},
		"the store changes":  {"its new edition is opened", "2", false},
	} {
		t.Run(name, func(t *testing.T) {
			inFleet(t, memory.Options{Batch: 5, Parallel: 4, Rate: rate}, false, func(t *testing.T, w *fleet) {
				refused := []backend.Code{backend.Unauthenticated}
				w.fault.begin(every(backend.Errorf(backend.Unauthenticated, "the token expired")))
				from := len(w.log())
				w.live(cycle, refused)
				w.write("v2")
				w.live(5*cycle, refused)
				if n := len(w.log()) - from; n != 6*manyRefs {
					t.Errorf("%d reads with a token that is refused, want one for each secret in each of six intervals", n)
				}
				if w.count("v1") != 3*len(w.objects) {
					t.Errorf("the last good values are in %d places, want all", w.count("v1"))
				}
				w.fault.begin(nil)
				w.creds = holding("new")
				began := time.Now()
				if c.touch {
					if owners, _ := w.feed.Touch(secretDep("login")); len(owners) != len(w.objects) {
						t.Fatalf("%d objects hear of the new credentials, want all", len(owners))
					}
				}
				for i, o := range w.objects {
					w.feed.Follow(t.Context(), w.of(i, c.revision), w.creds)
					w.ask(o)
				}
				w.live(manyRefs/rate*time.Second, refused)
				w.wantAll("v2", c.reason)
				if n := peak(w.requests(began)); n > rate {
					t.Errorf("%s: %d requests in a second, and %d are allowed", c.reason, n, rate)
				}
				if n := w.memory.Sessions(); n != 1 {
					t.Errorf("%d sessions, want none with the old token", n)
				}
			})
		})
	}
}

// TestClockJumps: the wall clock says at which moment of its interval a secret is
// due, and nothing else in this package looks at it: all other times are
// differences of two readings of one process, which Go takes from the monotonic
// clock.
//
// In a bubble of synctest both clocks are one, and no test can set it. But a wall
// clock that jumps is, to the feed, the same as secrets that are due at another
// moment from now on, as next is a function of the difference of the two. Here
// each secret's moment changes by an amount of its own, which no single jump
// does.
func TestClockJumps(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		jumps  int
		apart  time.Duration
	}{
		"once":         {"the clock was set", 1, cycle},
		"each cycle":   {"a machine that sleeps", 6, cycle},
		"all the time": {"two servers of time that disagree", 60, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			inFleet(t, memory.Options{Batch: 5, Parallel: 4, Rate: rate}, false, func(t *testing.T, w *fleet) {
				from := len(w.log())
				for range c.jumps {
					w.jump()
					w.live(c.apart, nil)
				}
				w.write("v2")
				w.live(cycle+slack, nil)
				w.wantAll("v2", c.reason)
				w.wantNoGap(from, c.reason)
				before := len(w.log())
				w.live(cycle, nil)
				if n := len(w.log()) - before; n != manyRefs {
					t.Errorf("%s: %d reads in an interval after it, want one for each of %d secrets", c.reason, n, manyRefs)
				}
				if n := peak(w.requests(time.Time{})); n > rate {
					t.Errorf("%s: %d requests in a second, and %d are allowed", c.reason, n, rate)
				}
			})
		})
	}
}

// jump changes the moment at which each secret is due.
func (c *fleet) jump() {
	c.feed.mu.Lock()
	defer c.feed.mu.Unlock()
	for _, a := range c.feed.accounts {
		a.name += "'" // which phase depends on
	}
}

// wantNoGap requires that each secret was read in every interval, and not all the
// time.
func (c *fleet) wantNoGap(from int, reason string) {
	c.t.Helper()
	last, reads := map[string]time.Time{}, map[string]int{}
	log := c.log()
	for _, r := range log[from:] {
		reads[r.path]++
		if before, ok := last[r.path]; ok && r.at.Sub(before) > cycle+slack {
			c.t.Errorf("%s: %s was not read for %s", reason, r.path, r.at.Sub(before))
		}
		last[r.path] = r.at
	}
	for _, p := range c.paths {
		if ago := time.Since(last[p]); ago > cycle+slack {
			c.t.Errorf("%s: %s was read %s ago", reason, p, ago)
		}
	}
	span := log[len(log)-1].at.Sub(log[from].at)
	if n, want := len(log)-from, 3*manyRefs*int(span/cycle+1); n > want {
		c.t.Errorf("%s: %d reads in %s, want at most %d", reason, n, span, want)
	}
}

// TestNextByAnyClock: whatever the clock says, and however often it says something
// else, nothing is put off for longer than its interval.
func TestNextByAnyClock(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // any clocks will do
	for range 100_000 {
		every := time.Duration(1 + random.Int64N(int64(48*hour)))
		at := time.Unix(random.Int64N(7_000_000_000), random.Int64N(1_000_000_000)) // to 2191
		if wait := next(at, every, time.Duration(random.Int64N(int64(every)))).Sub(at); wait <= 0 || wait > every {
			t.Fatalf("at %s, what is due each %s is due after %s", at, every, wait)
		}
	}
	// A due time that were of the wall clock only would come an hour too late when
	// that is set back by an hour.
	for name, due := range map[string]time.Time{
		"refresh": again(nil, 0, time.Now(), time.Now(), hour, 0),
		"pause":   again(errDown, 3, time.Now(), time.Now(), hour, 0),
	} {
		if !strings.Contains(due.String(), " m=") {
			t.Errorf("%s: %s is not of the monotonic clock", name, due)
		}
	}
}
