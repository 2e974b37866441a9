// SPDX-License-Identifier: Apache-2.0

package backend_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/backend"
)

func TestCodeOf(t *testing.T) {
	notFound := backend.Errorf(backend.NotFound, "no secret")
	limited := &backend.Error{Code: backend.RateLimited, RetryAfter: 7 * time.Second}
	for name, c := range map[string]struct {
		reason string
		err    error
		want   backend.Code
		after  time.Duration
	}{
		"nil":        {"success has no code", nil, "", 0},
		"plain":      {"an error of the contract", notFound, backend.NotFound, 0},
		"wrapped":    {"words around it change nothing", fmt.Errorf("reading: %w", limited), backend.RateLimited, 7 * time.Second},
		"joined":     {"nor does company", errors.Join(io.EOF, limited), backend.RateLimited, 7 * time.Second},
		"below":      {"a NotFound below must never delete", &backend.Error{Code: backend.Unavailable, Err: notFound}, backend.Unavailable, 0},
		"far below":  {"however far", fmt.Errorf("a: %w", &backend.Error{Code: backend.PermissionDenied, Err: fmt.Errorf("b: %w", notFound)}), backend.PermissionDenied, 0},
		"after":      {"a wait below belongs to another question", &backend.Error{Code: backend.Unavailable, Err: limited}, backend.Unavailable, 0},
		"cancelled":  {"no answer in time", context.Canceled, backend.Unavailable, 0},
		"deadline":   {"no answer in time", fmt.Errorf("reading: %w", context.DeadlineExceeded), backend.Unavailable, 0},
		"coded ctx":  {"the code counts, not its cause", &backend.Error{Code: backend.Unknown, Err: context.Canceled}, backend.Unknown, 0},
		"other":      {"anything else", io.ErrUnexpectedEOF, backend.Unknown, 0},
		"retryAfter": {"unavailable stores may say when", &backend.Error{Code: backend.Unavailable, RetryAfter: time.Minute}, backend.Unavailable, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			if got := backend.CodeOf(c.err); got != c.want {
				t.Errorf("%s: code %q, want %q", c.reason, got, c.want)
			}
			if got := backend.RetryAfterOf(c.err); got != c.after {
				t.Errorf("%s: retry after %s, want %s", c.reason, got, c.after)
			}
		})
	}
}

func TestErrorText(t *testing.T) {
	cause := errors.New("the server said: " + canary)
	err := &backend.Error{Code: backend.Unavailable, Message: "no answer", Err: cause}
	if got := err.Error(); got != "no answer" {
		t.Errorf("text %q, want the message only", got)
	}
	for _, verb := range []string{"%v", "%+v", "%s", "%q", "%#v"} {
		if form := leaks(fmt.Sprintf(verb, err)); form != "" {
			t.Errorf("%s shows the cause as %s", verb, form)
		}
	}
	if !errors.Is(err, cause) {
		t.Error("the cause is lost")
	}
	if got := (&backend.Error{Code: backend.Conflict}).Error(); got != "Conflict" {
		t.Errorf("text %q without a message, want the code", got)
	}
	if got := backend.Errorf(backend.InvalidRef, "no %s", "path").Error(); got != "no path" {
		t.Errorf("text %q", got)
	}
}

// everything is a Backend that can do all.
type everything struct {
	backend.Reader
	backend.Checker
	backend.Finder
	backend.Prober
	backend.Versioner
	backend.Writer
	backend.Watcher
	backend.Lessor
}

func TestCapabilities(t *testing.T) {
	e := everything{}
	for name, c := range map[string]struct {
		reason string
		b      backend.Backend
		want   []backend.Capability
	}{
		"none": {"nothing is claimed", backend.Backend{}, nil},
		"some": {"fields that are set, in a fixed order", backend.Backend{Lessor: e, Reader: e, Finder: e}, []backend.Capability{backend.CanRead, backend.CanFind, backend.CanLease}},
		"all": {
			"one for each field",
			backend.Backend{Reader: e, Checker: e, Finder: e, Prober: e, Versioner: e, Writer: e, Watcher: e, Lessor: e},
			[]backend.Capability{
				backend.CanRead, backend.CanCheck, backend.CanFind, backend.CanProbe,
				backend.CanVersions, backend.CanWrite, backend.CanWatch, backend.CanLease,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, c.b.Capabilities()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestRef(t *testing.T) {
	sorted := []backend.Ref{
		{Path: "a"},
		{Path: "a", Owner: "o"},
		{Path: "a", Args: "x"},
		{Path: "a", Part: backend.Metadata},
		{Path: "a", Version: "1"},
		{Path: "a", Kind: "k"},
		{Path: "b"},
	}
	for i, r := range sorted {
		for k, o := range sorted {
			if got := r.Compare(o); (got < 0) != (i < k) || (got == 0) != (i == k) {
				t.Errorf("Compare of %d and %d is %d", i, k, got)
			}
		}
	}
	for want, r := range map[string]backend.Ref{
		"db/password":                    {Path: "db/password"},
		"db/password version 3":          {Path: "db/password", Version: "3", Owner: "o", Args: "a"},
		"certificate tls version latest": {Path: "tls", Kind: "certificate", Version: "latest"},
	} {
		if got := r.String(); got != want {
			t.Errorf("String is %q, want %q", got, want)
		}
	}
}
