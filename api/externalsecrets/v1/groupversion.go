// SPDX-License-Identifier: Apache-2.0

package v1

import "k8s.io/apimachinery/pkg/runtime/schema"

// GroupVersion is the API group and version of every type in this package.
var GroupVersion = schema.GroupVersion{Group: "external-secrets.io", Version: "v1"}
