// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"context"
	"net/http"
	"net/url"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lockstep-secrets/lockstep/backend"
)

// prober follows Secrets by their resource versions.
type prober struct{ api *api }

// Probe implements backend.Prober. One Secret is got, several are listed, and
// both without data. Where the namespace is so large that a listing would take
// more requests than reading, nothing is told of the rest.
func (p *prober) Probe(ctx context.Context, refs []backend.Ref) ([]string, error) {
	asked := map[string]string{}
	for _, r := range refs {
		if sound(r) == nil {
			asked[r.Path] = ""
		}
	}
	var err error
	switch len(asked) {
	case 0:
		err = ctx.Err()
	case 1:
		err = p.one(ctx, asked)
	default:
		err = p.all(ctx, asked)
	}
	if err != nil {
		return nil, err
	}
	tokens := make([]string, len(refs))
	for i, r := range refs {
		if sound(r) == nil {
			tokens[i] = asked[r.Path]
		}
	}
	return tokens, nil
}

func (p *prober) one(ctx context.Context, asked map[string]string) error {
	for name := range asked {
		obj := &metav1.PartialObjectMetadata{}
		err := p.api.ask(ctx, question{method: http.MethodGet, path: p.api.secrets(name), accept: asMetadata, out: obj})
		err = classify(err, task{"get", name, p.api.namespace})
		if err != nil && backend.CodeOf(err) != backend.NotFound { // a missing one is read, which says so
			return err
		}
		if obj.Name == name {
			asked[name] = obj.ResourceVersion
		}
	}
	return nil
}

func (p *prober) all(ctx context.Context, asked map[string]string) error {
	requests, unseen := 0, len(asked)
	for list, err := range pages[metav1.PartialObjectMetadataList](ctx, p.api, asMetadataList, url.Values{}) {
		if err != nil {
			return err
		}
		for _, obj := range list.Items {
			if v, ok := asked[obj.Name]; ok && v == "" {
				asked[obj.Name] = obj.ResourceVersion
				unseen--
			}
		}
		if requests++; unseen == 0 || requests == len(asked) {
			break
		}
	}
	return nil
}
