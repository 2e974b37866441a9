// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/lockstep-secrets/lockstep/internal/diff"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// mend repairs the owner of a Secret that was restored from a backup, before
// anything is asked: the garbage collector does not wait for a store.
func (r *Reconciler) mend(ctx context.Context, req reconcile.Request, s spec.Spec, in spec.Inputs) (spec.Inputs, error) {
	change, stale := diff.Mend(s, in.Current)
	if !stale || r.Shadow != nil {
		return in, nil
	}
	// A cache that is late would have us write the UID of an object that is gone.
	live := r.Dialect.New()
	err := r.Gatherer.Live.Get(ctx, req.NamespacedName, live)
	if err != nil || string(live.GetUID()) != s.Object.UID || live.GetDeletionTimestamp() != nil {
		return in, client.IgnoreNotFound(err)
	}
	version, err := r.Writer.Apply(ctx, s.Target.Manager, []diff.Change{change})
	switch {
	case apierrors.IsConflict(err), apierrors.IsNotFound(err):
		return in, fmt.Errorf("mend the owner of a Secret: %w", err) // it is looked at again
	case err != nil:
		logr.FromContextOrDiscard(ctx).V(1).Info("owner of a Secret not mended", "reason", apierrors.ReasonForError(err))
		return in, nil // the sync tells what is wrong
	}
	mended := change.Secret
	mended.ResourceVersion = version
	in.Current = &mended
	r.targets.wrote(req, version)
	r.targets.mend(req)
	return in, nil
}

// mend notes that the Secret was restored. What the object's status says of it
// is of another cluster, or of another time, until it is synced.
func (t *targets) mend(req reconcile.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if o := t.objects[req]; o != nil {
		o.mended = true
	}
}

func (t *targets) mended(req reconcile.Request) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.objects[req]
	return o != nil && o.mended
}
