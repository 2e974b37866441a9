// SPDX-License-Identifier: Apache-2.0

package render_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/render"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// BenchmarkSecret is what it costs to make a Secret of five keys of what was
// read: at every look at an object that was woken.
func BenchmarkSecret(b *testing.B) {
	const doc = `{"username":"ada","password":"a-password-of-usual-length","host":"db.example.com","port":5432,"options":{"tls":true,"pool":[1,2,3]}}`
	paths := []string{"username", "password", "host", "port", "options.pool"}
	answers := map[string]plan.Answer{"one": document(doc)}
	var apart, fields, whole []spec.Entry // five secrets; five fields of one; five values as they are
	for i, p := range paths {
		key := "secret-" + strconv.Itoa(i)
		answers[key] = document(doc)
		answers["text-"+strconv.Itoa(i)] = text("a-password-of-usual-length")
		apart = append(apart, property("k"+strconv.Itoa(i), key, p))
		fields = append(fields, property("k"+strconv.Itoa(i), "one", p))
		whole = append(whole, data("k"+strconv.Itoa(i), "text-"+strconv.Itoa(i)))
	}
	url := &spec.Program{Data: map[string]string{
		"url":    "postgres://{{ .k0 }}:{{ .k1 }}@{{ .k2 }}:{{ .k3 }}/app",
		"config": "{{ range $k, $v := (dict \"user\" .k0 \"host\" .k2) }}{{ $k }}={{ $v | upper }}\n{{ end }}",
	}, Labels: map[string]string{"app": "{{ .k0 }}"}}
	for name, s := range map[string]spec.Spec{
		"KES/Fields":   {Syntax: spec.Lodash, Entries: fields},
		"KES/Secrets":  {Syntax: spec.Lodash, Entries: apart},
		"KES/Whole":    {Syntax: spec.Lodash, Entries: whole},
		"KES/DataFrom": {Syntax: spec.Lodash, Entries: []spec.Entry{from("one")}},
		"ESO/Fields":   {Syntax: spec.GJSON, Entries: fields},
		"ESO/Secrets":  {Syntax: spec.GJSON, Entries: apart},
		"ESO/Whole":    {Syntax: spec.GJSON, Entries: whole},
		"ESO/Extract":  {Syntax: spec.GJSON, Entries: []spec.Entry{from("one")}},
		"ESO/Template": {Syntax: spec.GJSON, Entries: fields, Target: spec.Target{Program: url}},
	} {
		b.Run(name, func(b *testing.B) { benchmarkSecret(b, s, answers) })
	}
	b.Run("ESO/Certificate", func(b *testing.B) { // 64 KiB in one value
		big := plan.Answer{Secret: backend.Secret{Payload: backend.NewValue([]byte(`{"pem":"` + strings.Repeat("x", 64<<10) + `"}`))}}
		benchmarkSecret(b, spec.Spec{Syntax: spec.GJSON, Entries: []spec.Entry{property("pem", "big", "pem")}}, map[string]plan.Answer{"big": big})
	})
}

func benchmarkSecret(b *testing.B, s spec.Spec, answers map[string]plan.Answer) {
	b.Helper()
	s.Target.Namespace, s.Target.Name = "ns", "app"
	in, d := inputs(), drivers()
	p := plan.Build(s, in, d)
	snapshot := plan.Snapshot{}
	for _, key := range p.Keys() {
		snapshot[key] = answers[key.Ref.Path]
	}
	if out := render.Secret(s, in, p, snapshot, d); len(out.Problems) > 0 || len(out.Data) == 0 {
		b.Fatal(out.Problems)
	}
	b.ReportAllocs()
	for b.Loop() {
		render.Secret(s, in, p, snapshot, d)
	}
}
