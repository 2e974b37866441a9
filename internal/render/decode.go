// SPDX-License-Identifier: Apache-2.0

package render

import (
	"bytes"
	"encoding/base64"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// decode decodes a value of an entry and refuses what the entry refuses. what
// names the value, for messages.
func decode(e spec.Entry, b []byte, what string) ([]byte, error) {
	b, err := decodeAs(e.Decode, b, what)
	if err != nil {
		return nil, err
	}
	if e.NoNull && bytes.IndexByte(b, 0) >= 0 {
		return nil, backend.Errorf(backend.InvalidRef, "%s has a NUL byte in it, which nullBytePolicy forbids", what)
	}
	return b, nil
}

// decodeAs decodes a value. Line ends in base64 are passed over.
func decodeAs(d spec.Decode, b []byte, what string) ([]byte, error) {
	std, url := base64.StdEncoding, base64.URLEncoding
	switch d {
	case spec.DecodeBase64:
		out, err := std.DecodeString(string(b))
		if err != nil {
			return nil, backend.Errorf(backend.InvalidRef, "%s is not base64", what)
		}
		return out, nil
	case spec.DecodeBase64URL:
		out, err := url.DecodeString(string(b))
		if err != nil {
			return nil, backend.Errorf(backend.InvalidRef, "%s is not base64 of the URL alphabet", what)
		}
		return out, nil
	case spec.DecodeAuto:
		for _, encoding := range []*base64.Encoding{std, url} {
			if out, err := encoding.DecodeString(string(b)); err == nil {
				return out, nil
			}
		}
	}
	return b, nil
}
