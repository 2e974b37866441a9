// SPDX-License-Identifier: Apache-2.0

package spec

// PauseAnnotation on an object, or on a store, keeps everything as it is that
// depends on it.
const PauseAnnotation = "lockstep-secrets.dev/paused"

// Paused says that annotations pause what they are of, and "" where they do not.
// Who writes anything but "false" wants it to stop: a control that stops things
// must not fail to for a misspelling.
func Paused(annotations map[string]string) string {
	value, there := annotations[PauseAnnotation]
	switch {
	case !there || value == "false":
		return ""
	case value == "true":
		return "the annotation " + PauseAnnotation
	}
	return "the annotation " + PauseAnnotation + ", whose value is neither true nor false and counts as true"
}

// PausedBy says what pauses an object: its own annotations, or one of its
// stores. "" is nothing.
func PausedBy(annotations map[string]string, entries []Entry, stores map[StoreKey]Store) string {
	if by := Paused(annotations); by != "" {
		return "paused by " + by
	}
	for _, e := range entries {
		if by := stores[e.Store].Paused; by != "" {
			return "paused by " + by + " of " + e.Store.String()
		}
	}
	return ""
}
