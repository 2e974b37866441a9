// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// lock is a resource lock that does what it is asked, or fails.
type lock struct {
	resourcelock.Interface
	err error
}

func (l *lock) Identity() string { return "me" }

func (l *lock) Create(context.Context, resourcelock.LeaderElectionRecord) error { return l.err }

func (l *lock) Update(context.Context, resourcelock.LeaderElectionRecord) error { return l.err }

// through answers everything.
type through struct{}

func (through) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{Body: http.NoBody}, nil
}

func TestFence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &lock{}
		l := &Lease{Interface: inner}
		writes := func(method string) error {
			r, err := http.NewRequestWithContext(t.Context(), method, "https://api", nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := l.Fence(through{}).RoundTrip(r)
			if err == nil {
				_ = resp.Body.Close()
			}
			return err
		}
		want := func(reason string, may bool) {
			t.Helper()
			for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
				if err := writes(method); may != (err == nil) || err != nil && !errors.Is(err, errNotLeader) {
					t.Errorf("%s: %s gives %v", reason, method, err)
				}
			}
			if err := writes(http.MethodGet); err != nil {
				t.Errorf("%s: a read gives %v", reason, err)
			}
		}
		mine, nobodys := resourcelock.LeaderElectionRecord{HolderIdentity: "me"}, resourcelock.LeaderElectionRecord{}

		want("before it leads", false)
		_ = l.Create(t.Context(), mine)
		want("it leads", true)
		time.Sleep(RenewDeadline - 1) // virtual
		want("the lease is not over", true)
		time.Sleep(time.Nanosecond) // virtual
		want("it may be over for the others", false)
		_ = l.Update(t.Context(), mine)
		want("it was renewed", true)
		time.Sleep(RenewDeadline / 2) // virtual
		inner.err = errors.New("the lease is another's")
		_ = l.Update(t.Context(), mine)
		time.Sleep(RenewDeadline / 2) // virtual
		want("it was not renewed again", false)
		inner.err = nil
		_ = l.Update(t.Context(), mine)
		_ = l.Update(t.Context(), nobodys)
		want("it was given back", false)
	})
}

// The monotonic clock stands still while a machine sleeps.
func TestFenceAfterSleep(t *testing.T) {
	l := &Lease{Interface: &lock{}, renewed: time.Now()}
	if !l.holds(time.Now()) {
		t.Error("it was renewed now")
	}
	if l.holds(time.Now().Round(0).Add(time.Hour)) {
		t.Error("by the wall clock it is over")
	}
	if l.holds(l.renewed.Add(RenewDeadline)) {
		t.Error("by the monotonic clock it is over")
	}
}
