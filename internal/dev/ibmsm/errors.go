// SPDX-License-Identifier: Apache-2.0

package ibmsm

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"
)

const moreInfo = "https://cloud.ibm.com/apidocs/secrets-manager/secrets-manager-v2"

// apiError is an answer that is not a success. Messages never contain secret values.
type apiError struct {
	Status     int
	Code       string
	Message    string
	retryAfter string
}

func (e *apiError) Error() string { return fmt.Sprintf("%d %s: %s", e.Status, e.Code, e.Message) }

// errInvalid names the offending field as a JSON pointer, the way the service does.
func errInvalid(pointer, why string) *apiError {
	return &apiError{
		Status: http.StatusBadRequest, Code: "bad_request",
		Message: fmt.Sprintf("Request validation error: Invalid parameter '%s': %s", pointer, why),
	}
}

func errNotFound(what, id string) *apiError {
	return &apiError{Status: http.StatusNotFound, Code: "not_found", Message: fmt.Sprintf("The %s %q was not found.", what, id)}
}

func errExists(what, name string) *apiError {
	return &apiError{Status: http.StatusConflict, Code: "conflict", Message: fmt.Sprintf("A %s with the same name already exists: %s", what, name)}
}

func errLocked() *apiError {
	return &apiError{
		Status: http.StatusPreconditionFailed, Code: "precondition_failed",
		Message: "The requested action can't be completed because the secret version is locked.",
	}
}

func errUnserved(what string) *apiError {
	return &apiError{Status: http.StatusNotImplemented, Code: "not_implemented", Message: "This stand-in does not serve " + what + "."}
}

func errUnauthorized() *apiError {
	return &apiError{Status: http.StatusUnauthorized, Code: "unauthorized", Message: "The IAM token is missing, unknown or expired."}
}

func errForbidden() *apiError {
	return &apiError{Status: http.StatusForbidden, Code: "forbidden", Message: "The caller's role does not permit this action."}
}

func errRate(after time.Duration) *apiError {
	return &apiError{
		Status: http.StatusTooManyRequests, Code: "too_many_requests",
		Message: "The request rate limit was exceeded.", retryAfter: seconds(after),
	}
}

// seconds is a Retry-After value, rounded up; empty for none.
func seconds(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return strconv.Itoa(int(math.Ceil(d.Seconds())))
}

func writeError(w http.ResponseWriter, k Kind, trace string, e *apiError) {
	if e.retryAfter != "" {
		w.Header().Set("Retry-After", e.retryAfter)
	}
	body, err := json.Marshal(errorBody(k, trace, e))
	if err != nil { // strings always encode
		body = []byte("{}")
	}
	writeJSON(w, e.Status, body)
}

// errorBody has IAM's shape for token requests and the service's for everything else.
func errorBody(k Kind, trace string, e *apiError) fields {
	if k == KindToken {
		return fields{
			"errorCode": e.Code, "errorMessage": e.Message,
			"context": fields{"requestId": trace},
		}
	}
	return fields{
		"errors":      []fields{{"code": e.Code, "message": e.Message, "more_info": moreInfo}},
		"status_code": e.Status,
		"trace":       trace,
	}
}
