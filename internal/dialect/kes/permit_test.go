// SPDX-License-Identifier: Apache-2.0

package kes_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/dialect/kes"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

const (
	roleKey = "iam.amazonaws.com/permitted"
	nameKey = "externalsecrets.kubernetes-client.io/permitted-key-name"
)

type permitCase struct {
	reason      string
	spec        string // JSON of the spec
	annotations map[string]string
	enforce     bool
	want        string // the reason of the denial; "" is permitted
}

func (tc permitCase) run(t *testing.T) {
	t.Helper()
	set := settings()
	set.Enforce = tc.enforce
	got := kes.Permit(object(t, tc.spec), spec.Namespace{Name: "ns", Annotations: tc.annotations}, set)
	var want []spec.Issue
	if tc.want != "" {
		want = []spec.Issue{{Where: "spec", Code: backend.PermissionDenied, Message: "not allowed to fetch secret: ns/app: " + tc.want}}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
	}
}

func named(pattern string) map[string]string { return map[string]string{nameKey: pattern} }

func roles(pattern string) map[string]string { return map[string]string{roleKey: pattern} }

// mismatch is KES's text for a key.
func mismatch(key, pattern string) string {
	return "key name " + key + " does not match naming convention " + pattern
}

// TestPermitRole has the facts about roles.
func TestPermitRole(t *testing.T) {
	const arn, vault, both, none = `{"roleArn": "arn:aws:iam::1:role/app"}`, `{"vaultRole": "app"}`, `{"roleArn": "arn", "vaultRole": "app"}`, `{}`
	const no = "namespace does not allow to assume role "
	cases := map[string]permitCase{
		"NoAnnotations":   {reason: "a namespace without annotations allows all", spec: arn},
		"OtherAnnotation": {reason: "so does one with other annotations", spec: arn, annotations: map[string]string{"x": "y"}},
		"EmptyPattern":    {reason: "an empty annotation allows all", spec: arn, annotations: roles("")},
		"Match":           {reason: "it matches", spec: arn, annotations: roles("^arn:aws:iam::1:role/.*$")},
		"NoMatch":         {reason: "it does not", spec: arn, annotations: roles("^arn:aws:iam::2:"), want: no + "arn:aws:iam::1:role/app"},
		"Unanchored":      {reason: "a part is enough", spec: arn, annotations: roles("role/a")},
		"VaultMatch":      {reason: "Vault's role is one as well", spec: vault, annotations: roles("^app$")},
		"VaultNoMatch":    {reason: "Vault's role is one as well", spec: vault, annotations: roles("^other$"), want: no + "app"},
		"ArnBeforeVault":  {reason: "with both, the ARN is checked, as in KES", spec: both, annotations: roles("^app$"), want: no + "arn"},
		"NoRole":          {reason: "nobody asks for a role", spec: none, annotations: roles("^nothing$")},
		"CommaList":       {reason: "a comma list is one expression", spec: vault, annotations: roles("app,other"), want: no + "app"},
		"Alternatives":    {reason: "the way to write a list", spec: vault, annotations: roles("^(app|other)$")},
	}
	for name, tc := range cases {
		t.Run(name, tc.run)
	}
}

// TestPermitNaming has the facts about keys.
func TestPermitNaming(t *testing.T) {
	const (
		good   = `{"data": [{"key": "dev/a", "name": "a"}]}`
		bad    = `{"data": [{"key": "prod/a", "name": "a"}]}`
		path   = `{"data": [{"path": "/prod"}]}`
		pathed = `{"data": [{"path": "/dev", "key": "prod/a"}]}`
		from   = `{"dataFrom": ["prod/b"]}`
		opts   = `{"dataFromWithOptions": [{"key": "prod/c"}]}`
		mixed  = `{"data": [{"key": "prod/a", "name": "a"}, {"key": "dev/b", "name": "b"}], "dataFrom": ["dev/c"]}`
		last   = `{"data": [{"key": "prod/a", "name": "a"}], "dataFrom": ["prod/b", "dev/c"], "dataFromWithOptions": [{"key": "dev/d"}]}`
		all    = `{"data": [{"key": "prod/a", "name": "a"}], "dataFrom": ["prod/b"], "dataFromWithOptions": [{"key": "prod/c"}]}`
		roled  = `{"vaultRole": "app", "data": [{"key": "prod/a", "name": "a"}]}`
	)
	cases := map[string]permitCase{
		"NoAnnotations":   {reason: "a namespace without annotations allows all", spec: bad},
		"EmptyPattern":    {reason: "an empty annotation allows all", spec: bad, annotations: named("")},
		"Match":           {reason: "it matches", spec: good, annotations: named("^dev/")},
		"NoMatch":         {reason: "it does not", spec: bad, annotations: named("^dev/"), want: mismatch("prod/a", "^dev/")},
		"Unanchored":      {reason: "a part is enough, wherever it stands", spec: `{"data": [{"key": "prod/dev/a/x", "name": "a"}]}`, annotations: named("dev/a/.*")},
		"AnchoredEnd":     {reason: "unless it is anchored", spec: good, annotations: named("dev$"), want: mismatch("dev/a", "dev$")},
		"LineFeed":        {reason: "JavaScript's $ is the end, not the place before a line feed", spec: `{"data": [{"key": "dev/a\n", "name": "a"}]}`, annotations: named("^dev/a$"), want: mismatch("dev/a\n", "^dev/a$")},
		"CaseMatters":     {reason: "letters are not folded", spec: good, annotations: named("^DEV/"), want: mismatch("dev/a", "^DEV/")},
		"Path":            {reason: "paths are checked, in their own words", spec: path, annotations: named("^/dev"), want: "path /prod does not match naming convention ^/dev"},
		"PathMatches":     {reason: "a path that matches", spec: path, annotations: named("^/prod")},
		"PathAndKey":      {reason: "of path and key both are checked", spec: pathed, annotations: named("^/dev"), want: mismatch("prod/a", "^/dev")},
		"PathAndKeyOther": {reason: "of path and key both are checked", spec: pathed, annotations: named("^prod"), want: "path /dev does not match naming convention ^prod"},
		"From":            {reason: "keys of dataFrom are checked", spec: from, annotations: named("^dev/"), want: mismatch("prod/b", "^dev/")},
		"FromMatches":     {reason: "keys of dataFrom are checked", spec: from, annotations: named("^prod/")},
		"Options":         {reason: "keys of dataFromWithOptions too; KES let them through", spec: opts, annotations: named("^dev/"), want: mismatch("prod/c", "^dev/")},
		"OptionsMatch":    {reason: "keys of dataFromWithOptions too", spec: opts, annotations: named("^prod/")},
		"OneOfMany":       {reason: "one that does not match is enough, though later ones do", spec: mixed, annotations: named("^dev/"), want: mismatch("prod/a", "^dev/")},
		"LastReason":      {reason: "the last reason is told", spec: last, annotations: named("^dev/"), want: mismatch("prod/b", "^dev/")},
		"LastOfAll":       {reason: "dataFromWithOptions comes last", spec: all, annotations: named("^dev/"), want: mismatch("prod/c", "^dev/")},
		"RoleLast":        {reason: "and a role after all keys", spec: roled, annotations: map[string]string{nameKey: "^dev/", roleKey: "^x$"}, want: "namespace does not allow to assume role app"},
		"RoleGranted":     {reason: "a role that is allowed does not make up for a key", spec: roled, annotations: map[string]string{nameKey: "^dev/", roleKey: "^app$"}, want: mismatch("prod/a", "^dev/")},
		"LookAhead":       {reason: "JavaScript's expressions, not Go's", spec: good, annotations: named("^(?!prod/)")},
		"LookAheadDenies": {reason: "JavaScript's expressions, not Go's", spec: bad, annotations: named("^(?!prod/)"), want: mismatch("prod/a", "^(?!prod/)")},
		"BackReference":   {reason: "JavaScript's expressions, not Go's", spec: `{"data": [{"key": "aa/x", "name": "a"}]}`, annotations: named(`^(a)\1/`)},
		"Digits":          {reason: "ASCII digits only", spec: `{"dataFrom": ["٣"]}`, annotations: named(`^\d$`), want: mismatch("٣", `^\d$`)},
		"CommaList":       {reason: "a comma list is one expression", spec: good, annotations: named("^dev/,^prod/"), want: mismatch("dev/a", "^dev/,^prod/")},
		"NoKeys":          {reason: "nothing to check", spec: `{"data": []}`, annotations: named("^dev/")},
		"BadPattern": {
			reason: "an expression that is none permits nothing, and says so", spec: good, annotations: named("("),
			want: "Invalid regular expression: /(/ in annotation " + nameKey + " on namespace ns",
		},
		"BadRolePattern": {
			reason: "an expression that is none permits nothing, and says so", spec: roled, annotations: map[string]string{nameKey: "prod", roleKey: "[a"},
			want: "Invalid regular expression: /[a/ in annotation " + roleKey + " on namespace ns",
		},
	}
	for name, tc := range cases {
		t.Run(name, tc.run)
	}
}

// TestPermitEnforced has the facts about ENFORCE_NAMESPACE_ANNOTATIONS.
func TestPermitEnforced(t *testing.T) {
	const plain, roled = `{"data": [{"key": "a", "name": "a"}]}`, `{"vaultRole": "app", "data": [{"key": "a", "name": "a"}]}`
	missing := func(annotation string) string {
		return "Missing required annotation " + annotation + " on namespace ns"
	}
	cases := map[string]permitCase{
		"NoAnnotations":  {reason: "a namespace without any", spec: plain, enforce: true, want: "Namespace annotation is required"},
		"NoNaming":       {reason: "naming is needed", spec: plain, annotations: map[string]string{"x": "y"}, enforce: true, want: missing(nameKey)},
		"EmptyNaming":    {reason: "an empty one is a missing one", spec: plain, annotations: named(""), enforce: true, want: missing(nameKey)},
		"NamingOnly":     {reason: "without a role, naming is enough", spec: plain, annotations: named(".*"), enforce: true},
		"NoRole":         {reason: "with a role, both are needed", spec: roled, annotations: named(".*"), enforce: true, want: missing(roleKey)},
		"EmptyRole":      {reason: "an empty one is a missing one", spec: roled, annotations: map[string]string{nameKey: ".*", roleKey: ""}, enforce: true, want: missing(roleKey)},
		"RoleOnly":       {reason: "with a role, both are needed", spec: roled, annotations: roles(".*"), enforce: true, want: missing(nameKey)},
		"Both":           {reason: "both are there", spec: roled, annotations: map[string]string{nameKey: ".*", roleKey: "app"}, enforce: true},
		"BothMissing":    {reason: "the last reason is told", spec: roled, annotations: map[string]string{"x": "y"}, enforce: true, want: missing(roleKey)},
		"NotEnforced":    {reason: "otherwise neither is", spec: roled, annotations: map[string]string{"x": "y"}},
		"StillCompared":  {reason: "what is there is compared", spec: plain, annotations: named("^b$"), enforce: true, want: mismatch("a", "^b$")},
		"NothingToCheck": {reason: "even a manifest that reads nothing needs it", spec: `{"data": []}`, annotations: map[string]string{"x": "y"}, enforce: true, want: missing(nameKey)},
	}
	for name, tc := range cases {
		t.Run(name, tc.run)
	}
}

// TestPermitOtherAnnotations holds that the operator's names are used.
func TestPermitOtherAnnotations(t *testing.T) {
	set := settings()
	set.Enforce, set.NamingAnnotation, set.RoleAnnotation = true, "example.com/keys", "example.com/roles"
	ns := spec.Namespace{Name: "ns", Annotations: map[string]string{nameKey: ".*", roleKey: ".*", "example.com/keys": "^a$"}}
	es := object(t, `{"vaultRole": "app", "data": [{"key": "a", "name": "a"}]}`)
	got := kes.Permit(es, ns, set)
	want := "not allowed to fetch secret: ns/app: Missing required annotation example.com/roles on namespace ns"
	if len(got) != 1 || got[0].Message != want {
		t.Errorf("got %v, want %q", got, want)
	}
}

// TestPermitCatastrophe holds that an expression that would run for ages ends
// soon, once for all keys, and denies.
func TestPermitCatastrophe(t *testing.T) {
	const pattern = `^(a+)+$`
	key := strings.Repeat("a", 60) + "!"
	es := object(t, `{"data": []}`)
	for range 200 {
		es.Spec.DataFrom = append(es.Spec.DataFrom, key)
	}
	start := time.Now()
	got := kes.Permit(es, spec.Namespace{Name: "ns", Annotations: named(pattern)}, settings())
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	want := "not allowed to fetch secret: ns/app: the regular expression /" + pattern + "/ in annotation " + nameKey +
		" on namespace ns takes too long for key name " + key
	if len(got) != 1 || got[0].Code != backend.PermissionDenied || got[0].Message != want {
		t.Errorf("got %v, want %q", got, want)
	}
}
