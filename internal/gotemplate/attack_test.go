// SPDX-License-Identifier: Apache-2.0

package gotemplate

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// maxGrowth is the house's: what a template may make the process take from the system.
const maxGrowth = 64 << 20

// attack is a template that wants all time or all memory. Its data are the keys a (1 MiB of a), j (a document of 400 kB),
// y (a document whose aliases stand for 10^9 values), p and h (PKCS #12 files with 2^31 iterations), l (one with 20,000) and k (an RSA key of
// 60,000 bits).
type attack struct{ reason, text string }

// attacks all end with an error.
func attacks() map[string]attack {
	deep := `{{ $x := list "0123456789" }}{{ range 60 }}{{ $x = list $x $x }}{{ end }}`
	out := map[string]attack{
		"EndlessRange":      {"an hour of nothing", `{{ range 10000000000 }}{{ end }}`},
		"UncertainRange":    {"the same, where it might break off", `{{ range 10000000000 }}{{ if eq . -1 }}{{ break }}{{ end }}{{ end }}`},
		"NestedRange":       {"10^12", `{{ range $i := until 10000 }}{{ range until 10000 }}{{ range until 10000 }}{{ end }}{{ end }}{{ end }}`},
		"HiddenNestedRange": {"the inner loops under a condition", `{{ range 100000 }}{{ if true }}{{ range 100000 }}{{ if eq . -1 }}{{ break }}{{ end }}{{ end }}{{ end }}{{ end }}`},
		"Recursion":         {"a template that calls itself", `{{ define "x" }}{{ template "x" . }}{{ end }}{{ template "x" . }}`},
		"SelfCall":          {"by its own name", `{{ template "k" . }}`},
		"Fork":              {"2^99 calls, none deeper than 100", fork()},
		"Repeat2GB":         {"a text of 2 GB", `{{ repeat 2147483648 "a" }}`},
		"RepeatDoubling":    {"the same in small steps", `{{ $x := "aaaaaaaa" }}{{ range 40 }}{{ $x = printf "%s%s" $x $x }}{{ end }}`},
		"RepeatCat":         {"by cat", `{{ $x := "aaaaaaaa" }}{{ range 40 }}{{ $x = cat $x $x }}{{ end }}`},
		"RepeatJoin":        {"by join", `{{ $x := "aaaaaaaa" }}{{ range 40 }}{{ $x = join "" (list $x $x) }}{{ end }}`},
		"RepeatReplace":     {"by replace", `{{ $x := "aaaaaaaa" }}{{ range 40 }}{{ $x = replace "a" "aaaaaaaa" $x }}{{ end }}`},
		"RepeatRegex":       {"by an expression", `{{ $x := "aaaaaaaa" }}{{ range 40 }}{{ $x = regexReplaceAll "(a+)" $x "$1$1$1$1$1$1$1" }}{{ end }}`},
		"RepeatQuote":       {"by quoting quotes", `{{ $x := .a }}{{ range 40 }}{{ $x = $x | quote | toJson | b32enc | js }}{{ end }}`},
		"Indent":            {"", `{{ indent 1000000000 .a }}`},
		"WrapWith":          {"", `{{ wrapWith 1 (repeat 4000 "a") .a }}`},
		"Output":            {"text of the template itself, without end", `{{ range 1000000 }}` + strings.Repeat("x", 10000) + `{{ end }}`},
		"Until":             {"", `{{ until 1000000000 }}`},
		"UntilOverflow":     {"steps over the last integer", `{{ untilStep 0 9223372036854775807 4611686018427387904 }}`},
		"Seq":               {"", `{{ seq 1 1000000000 }}`},
		"RandAlpha":         {"", `{{ randAlphaNum 1000000000 }}`},
		"RandBytes":         {"", `{{ randBytes 2147483647 }}`},
		"RandBytesLoop":     {"", `{{ range 100000 }}{{ $x := randBytes 100000 }}{{ end }}`},
		"Printf":            {"a width", `{{ printf "%1000000000d" 1 }}`},
		"PrintfStar":        {"a width as argument", `{{ printf "%*d" 2000000000 1 }}`},
		"PrintfMany":        {"many widths", `{{ printf "` + strings.Repeat("%900000d", 3000) + `" 1 }}`},
		"PrintfIndex":       {"one argument many times", `{{ printf "` + strings.Repeat("%[1]s", 3000) + `" .a }}`},
		"PrintfList":        {"a width for each element", `{{ printf "%900000d" (until 10000) }}`},
		"DeepPrint":         {"a list of 2^60 texts, printed", deep + `{{ $x }}`},
		"DeepPrintf":        {"", deep + `{{ printf "%v" $x }}`},
		"DeepJSON":          {"", deep + `{{ toJson $x }}`},
		"DeepYAML":          {"", deep + `{{ toYaml $x }}`},
		"DeepCopy":          {"", deep + `{{ $y := deepCopy $x }}`},
		"DeepEqual":         {"", deep + strings.ReplaceAll(deep, "$x", "$y") + `{{ deepEqual $x $y }}`},
		"DeepJoin":          {"", deep + `{{ join "," (list $x) }}`},
		"DeepKey":           {"a key is printed as well", deep + `{{ $y := dict $x 1 }}`},
		"DeepHTML":          {"", deep + `{{ html $x }}`},
		"Cycle":             {"a dict in itself", `{{ $d := dict }}{{ $_ := set $d "a" $d }}{{ $d }}`},
		"CycleJSON":         {"", `{{ $d := dict }}{{ $_ := set $d "a" $d }}{{ toJson $d }}`},
		"CycleCopy":         {"", `{{ $d := dict }}{{ $_ := set $d "a" $d }}{{ $y := deepCopy $d }}`},
		"CycleMerge":        {"", `{{ $d := dict }}{{ $_ := set $d "a" $d }}{{ $y := merge (dict) $d $d }}`},
		"Tower":             {"lists in lists, 100,000 deep", `{{ $x := list }}{{ range 100000 }}{{ $x = list $x }}{{ end }}{{ deepEqual $x $x }}`},
		"Append":            {"a list that is copied each time", `{{ $x := list }}{{ range 100000 }}{{ $x = append $x 1 }}{{ end }}`},
		"Concat":            {"a list that doubles", `{{ $x := list 1 }}{{ range 40 }}{{ $x = concat $x $x }}{{ end }}`},
		"Uniq":              {"each with each", `{{ $x := until 50000 | uniq }}`},
		"Split":             {"a million parts", `{{ $x := split "" .a }}`},
		"TrimAll":           {"each character is looked for among a million", `{{ trimAll (replace "a" "ä" .a) .a }}`},
		"Methods":           {"work that no function does", `{{ $v := (semver "1.2.3").SetMetadata .a }}{{ range 100000 }}{{ $x := $v.String }}{{ end }}`},
		"MethodLayout":      {"", `{{ $t := now }}{{ range 100000 }}{{ $x := $t.Format $.a }}{{ end }}`},
		"Compare":           {"text/template's own functions", `{{ $b := upper .a | lower }}{{ range 1000000 }}{{ if eq $.a $b }}{{ end }}{{ end }}`},
		"Index":             {"a key of a million bytes", `{{ range 1000000 }}{{ $x := index $ $.a }}{{ end }}`},
		"SortedMap":         {"a range sorts the keys first", `{{ $d := dict }}{{ range until 3000 }}{{ $_ := set $d (toString .) 1 }}{{ end }}{{ range 100000 }}{{ range $d }}{{ break }}{{ end }}{{ end }}`},
		"JSON":              {"maps for bytes", `{{ range 100 }}{{ $x := fromJson $.j }}{{ end }}`},
		"YAMLAliases":       {"ten lines, 10^9 values", `{{ $x := fromYaml .y }}`},
		"YAML":              {"", `{{ range 100 }}{{ $x := fromYaml $.j }}{{ end }}`},
		"RegexProgram":      {"repetitions multiply", `{{ mustRegexMatch "((a{100}){100}){10}" .a }}`},
		"RegexLong":         {"", `{{ regexMatch "` + strings.Repeat("a{1000}", 4000) + `" .a }}`},
		"RegexNested":       {"a slow expression for backtrackers, and a large one here", `{{ regexMatch "(a?){1000}a{1000}b" .a }}`},
		"RegexQuadratic":    {"the rest of the text is read for each match", `{{ regexFindAll "a.*b|a" .a -1 }}`},
		"RegexFold":         {"all letters in all cases", `{{ regexMatch "(?i)` + strings.Repeat(`[B-\\x{1E942}]`, 250) + `" .a }}`},
		"SemverLong":        {"", `{{ semver (repeat 100000 "1.") }}`},
		"SemverLoop":        {"", `{{ range 1000000 }}{{ $x := semverCompare ">=1 <2 || >=3 <4 || ~5" "1.2.3" }}{{ end }}`},
		"Zones":             {"each is a file", `{{ range 1000000 }}{{ $x := dateInZone "2006" now (printf "Zone/%d" .) }}{{ end }}`},
		"RSALoop":           {"the first key is not begun either", `{{ range 1000 }}{{ genPrivateKey "rsa" }}{{ end }}`},
		"RSAHidden":         {"ends after one key", `{{ range 1000 }}{{ if true }}{{ $x := genPrivateKey "rsa" }}{{ end }}{{ end }}`},
		"CALoop":            {"", `{{ range 1000 }}{{ $x := genCA "a" 1 }}{{ end }}`},
		"DSA":               {"", `{{ genPrivateKey "dsa" }}`},
		"Bcrypt":            {"", `{{ range 1000 }}{{ if true }}{{ $x := bcrypt "a" }}{{ end }}{{ end }}`},
		"Scrypt":            {"32 MiB each", `{{ range 1000 }}{{ if true }}{{ $x := derivePassword 1 "long" "a" "b" "c" }}{{ end }}{{ end }}`},
		"PKCS12":            {"2^31 iterations", `{{ pkcs12key .p }}`},
		"PKCS12Hidden":      {"the same inside of an encrypted part", `{{ pkcs12key .h }}`},
		"PKCS12Loop":        {"iterations that are many only together", `{{ range 1000 }}{{ $x := pkcs12key $.l }}{{ end }}`},
		"LargeRSA":          {"", `{{ rsaDecrypt "RSA-OAEP" "SHA1" .a .k }}`},
		"LargeRSASign":      {"", `{{ genCAWithKey "a" 1 .k }}`},
		"Decimals":          {"all digits are kept", `{{ mulf ` + strings.Repeat("1.2345678901234567e-300 ", 20000) + `}}`},
		"NestedBlocks":      {"the parser recurses", strings.Repeat("{{if 1}}", 100000)},
		"ElseIfs":           {"each is one block deeper", "{{if 1}}" + strings.Repeat("{{else if 1}}", 50000) + "{{end}}"},
		"Parentheses":       {"", "{{ " + strings.Repeat("(", 200000)},
		"HiddenBlocks":      {"ends in text do not end a block", strings.Repeat(`{{if "{{end}}"}}`, 20000)},
		"Actions":           {"each becomes a tree", strings.Repeat("{{1}}", 200000)},
		"Arguments":         {"", "{{ list " + strings.Repeat("1 ", 500000) + "}}"},
		"Kitchen":           {"all memory that the budget pays for, kept", `{{ $l := list }}{{ range 100000 }}{{ $l = prepend (list $l) (upper $.a) }}{{ end }}`},
		"KitchenSmall":      {"", `{{ $d := dict }}{{ range 1000000 }}{{ $_ := set $d (toString .) (list . .) }}{{ end }}`},
	}
	return out
}

// fork is a hundred templates that each call the next one twice.
func fork() string {
	var b strings.Builder
	for i := range 99 {
		fmt.Fprintf(&b, `{{ define "t%d" }}{{ template "t%d" }}{{ template "t%d" }}{{ end }}`, i, i+1, i+1)
	}
	return b.String() + `{{ define "t99" }}{{ end }}{{ template "t0" }}`
}

// TestAttacks runs each attack in a process of its own: what a process took from the system does not go down again, so what
// the end shows is the peak.
func TestAttacks(t *testing.T) {
	const variable = "GOTEMPLATE_ATTACK"
	if name := os.Getenv(variable); name != "" {
		attackOnce(t, name)
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, a := range attacks() {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestAttacks$", "-test.v")
			cmd.Env = append(os.Environ(), variable+"="+name, "GORACE=atexit_sleep_ms=0")
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%s: %v\n%s", a.reason, err, out[:min(len(out), 4000)])
			}
			t.Logf("%s", bytes.TrimSpace(out))
		})
	}
}

func attackOnce(t *testing.T, name string) {
	text := attacks()[name].text
	data := attackData(t, text)
	var before, after runtime.MemStats
	runtime.GC()
	goroutines := runtime.NumGoroutine()
	runtime.ReadMemStats(&before)
	_, err := New().Execute("k", text, data)
	runtime.ReadMemStats(&after)
	if err == nil {
		t.Error("no error")
	}
	if n := runtime.NumGoroutine(); n != goroutines {
		t.Errorf("%d goroutines before, %d after", goroutines, n)
	}
	if grown := int64(after.Sys) - int64(before.Sys); grown >= maxGrowth { //nolint:gosec // bytes of memory
		t.Errorf("the process grew by %d MiB", grown>>20)
	}
	t.Logf("%v; grown by %d MiB, allocated %d MiB", err, (after.Sys-before.Sys)>>20, (after.TotalAlloc-before.TotalAlloc)>>20)
}

// BenchmarkAttacks prints how long each attack takes to end, by the clock and in time of the processor, which other programs
// do not lengthen.
func BenchmarkAttacks(b *testing.B) {
	for name, a := range attacks() {
		b.Run(name, func(b *testing.B) {
			data := attackData(b, a.text)
			before := processorTime(b)
			for b.Loop() {
				if _, err := New().Execute("k", a.text, data); err == nil {
					b.Fatal("no error")
				}
			}
			spent := processorTime(b) - before
			b.ReportMetric(float64(spent.Milliseconds())/float64(b.N), "cpu-ms/op")
		})
	}
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
