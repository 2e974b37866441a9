// SPDX-License-Identifier: Apache-2.0

package ibmsm

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

func checkFlag(v any, _ time.Time) string {
	if _, ok := v.(bool); !ok {
		return "must be a boolean"
	}
	return ""
}

func checkTexts(most int) func(any, time.Time) string {
	return func(v any, _ time.Time) string {
		list, ok := v.([]any)
		if !ok || len(list) > most {
			return fmt.Sprintf("must be an array of at most %d strings", most)
		}
		for _, e := range list {
			if _, ok := e.(string); !ok {
				return "must be an array of strings"
			}
		}
		return ""
	}
}

func checkOneOf(values ...string) func(any, time.Time) string {
	return func(v any, _ time.Time) string {
		if s, ok := v.(string); !ok || !slices.Contains(values, s) {
			return "must be one of " + strings.Join(values, ", ")
		}
		return ""
	}
}

func checkTTL(least, most time.Duration) func(any, time.Time) string {
	return func(v any, _ time.Time) string {
		d, ok := duration(v)
		if !ok {
			return "must be a number of seconds or a duration such as 24h"
		}
		if d < least || d > most {
			return fmt.Sprintf("must be %s to %s", least, most)
		}
		return ""
	}
}

// duration reads a time to live: seconds as a number or a string, or Go's notation of a duration.
func duration(v any) (time.Duration, bool) {
	s := text(v)
	if n, ok := v.(json.Number); ok {
		s = n.String()
	}
	if n, err := strconv.Atoi(s); err == nil {
		return time.Duration(n) * time.Second, true
	}
	d, err := time.ParseDuration(s)
	return d, err == nil
}

func checkSourceService(v any, _ time.Time) string {
	if text(object(object(v)["instance"])["crn"]) == "" {
		return "instance.crn is required"
	}
	return ""
}

func checkCertRotation(v any, now time.Time) string {
	p, ok := v.(fields)
	if !ok {
		return "must be an object"
	}
	if _, ok := p["auto_rotate"].(bool); !ok {
		return "auto_rotate is required"
	}
	if keys, given := p["rotate_keys"]; given && checkFlag(keys, now) != "" {
		return "rotate_keys must be a boolean"
	}
	return ""
}

func checkKeyRotation(v any, now time.Time) string {
	if checkFlag(object(v)["rotate_keys"], now) != "" {
		return "rotate_keys is required"
	}
	return ""
}

func checkCertificate(v any, _ time.Time) string {
	s := text(v)
	if len(s) > maxPEM {
		return fmt.Sprintf("must be at most %d bytes", maxPEM)
	}
	if _, err := parseCertificates(s); err != nil {
		return err.Error()
	}
	return ""
}

func checkCertificates(v any, now time.Time) string {
	list, ok := v.([]any)
	if !ok {
		return "must be an array of certificates"
	}
	for _, e := range list {
		if why := checkCertificate(e, now); why != "" {
			return why
		}
	}
	return ""
}

func checkPrivateKey(v any, _ time.Time) string {
	s := text(v)
	if len(s) > maxPEM {
		return fmt.Sprintf("must be at most %d bytes", maxPEM)
	}
	if _, err := parseKey(s); err != nil {
		return err.Error()
	}
	return ""
}

func checkCSR(v any, _ time.Time) string {
	if _, err := parseCSR(text(v)); err != nil {
		return err.Error()
	}
	return ""
}
