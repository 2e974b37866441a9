// SPDX-License-Identifier: Apache-2.0

package window

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/robfig/cron/v3"
)

// at is a time in UTC; the first of June 2026 is a Monday.
func at(t *testing.T, s string) time.Time {
	t.Helper()
	if s == "" {
		return time.Time{}
	}
	out, err := time.Parse("2006-01-02 15:04:05", s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func parsed(t *testing.T, allow bool, windows ...Window) Set {
	t.Helper()
	s, err := Parse(allow, windows)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSet(t *testing.T) {
	night := []Window{{"0 22 * * *", 2 * time.Hour}}
	for name, c := range map[string]struct {
		reason  string
		windows []Window
		at      string
		active  bool
		change  string // "" is never
	}{
		"before":    {"the next firing opens it", night, "2026-06-01 21:00:00", false, "2026-06-01 22:00:00"},
		"beginning": {"the firing is in it", night, "2026-06-01 22:00:00", true, "2026-06-02 00:00:01"},
		"inside":    {"between firing and end", night, "2026-06-01 22:30:00", true, "2026-06-02 00:00:01"},
		"end":       {"the end is in it", night, "2026-06-02 00:00:00", true, "2026-06-02 00:00:01"},
		"past":      {"one second later is not", night, "2026-06-02 00:00:01", false, "2026-06-02 22:00:00"},
		"next day":  {"each firing has its window", night, "2026-06-02 22:30:00", true, "2026-06-03 00:00:01"},
		"weekdays": {
			"Friday's end to Monday's beginning",
			[]Window{{"0 9 * * 1-5", 8 * time.Hour}},
			"2026-06-05 17:00:01", false, "2026-06-08 09:00:00",
		},
		"day or weekday": {
			"either is enough, as cron has it",
			[]Window{{"0 0 15 * 1", time.Hour}},
			"2026-06-14 12:00:00", false, "2026-06-15 00:00:00",
		},
		"overlap": {
			"the later end counts",
			[]Window{{"0 22 * * *", 2 * time.Hour}, {"0 23 * * *", 2 * time.Hour}},
			"2026-06-01 22:30:00", true, "2026-06-02 01:00:01",
		},
		"overlap of its own": {
			"a window that fires again while it is open stays open",
			[]Window{{"0,30 9-11 * * *", time.Hour}},
			"2026-06-01 09:15:00", true, "2026-06-01 12:30:01",
		},
		"touching": {
			"there is no second between them",
			[]Window{{"0 1 * * *", time.Hour}, {"0 2 * * *", time.Hour}},
			"2026-06-01 01:30:00", true, "2026-06-01 03:00:01",
		},
		"a second apart": {
			"one ends at 0:00:58, the other begins at 0:01:00",
			[]Window{{"0 0 * * *", 58 * time.Second}, {"1 0 * * *", time.Minute}},
			"2026-06-01 00:00:30", true, "2026-06-01 00:00:59",
		},
		"next to each other": {
			"no whole second is between 0:00:59 and 0:01:00",
			[]Window{{"0 0 * * *", 59 * time.Second}, {"1 0 * * *", time.Minute}},
			"2026-06-01 00:00:30", true, "2026-06-01 00:02:01",
		},
		"descriptor": {"@daily is midnight", []Window{{"@daily", time.Hour}}, "2026-06-01 12:00:00", false, "2026-06-02 00:00:00"},
		"year":       {"@yearly is the first of January", []Window{{"@yearly", time.Hour}}, "2026-06-01 12:00:00", false, "2027-01-01 00:00:00"},
		"leap day":   {"found though it is years away", []Window{{"0 0 29 2 *", time.Hour}}, "2026-06-01 12:00:00", false, "2028-02-29 00:00:00"},
		"always":     {"each minute, for an hour", []Window{{"* * * * *", time.Hour}}, "2026-06-01 12:00:00", true, ""},
		"always, barely": {
			"23:59 to 0:00 is as far as any other minute",
			[]Window{{"* * * * *", time.Minute}},
			"2026-06-01 12:00:30", true, "",
		},
		"always but a second": {
			"each minute, for all but its last second",
			[]Window{{"* * * * *", 58 * time.Second}},
			"2026-06-01 12:00:30", true, "2026-06-01 12:00:59",
		},
		"day and night": {
			"together they are always",
			[]Window{{"0 0 * * *", 12 * time.Hour}, {"0 12 * * *", 12 * time.Hour}},
			"2026-06-01 06:00:00", true, "",
		},
		"longer than a day": {
			"Saturday's lasts until Monday",
			[]Window{{"0 0 * * 6", 48 * time.Hour}},
			"2026-06-07 12:00:00", true, "2026-06-08 00:00:01",
		},
		"longer than a year": {"it is open when it fires again", []Window{{"@yearly", 9000 * time.Hour}}, "2026-06-01 12:00:00", true, ""},
		"longest":            {"what a duration can hold", []Window{{"@yearly", 1<<63 - 1}}, "2026-06-01 12:00:00", true, ""},
		"every second":       {"it recurs within its duration", []Window{{"@every 1s", time.Hour}}, "2026-06-01 12:00:00", true, ""},
		"every hour":         {"to the second", []Window{{"@every 1h", time.Hour}}, "2026-06-01 12:00:00", true, ""},
		"every other hour":   {"counted from no moment it has none", []Window{{"@every 2h", time.Hour}}, "2026-06-01 12:00:00", false, ""},
		"every and cron": {
			"one that is always open hides the others",
			append([]Window{{"@every 1m", time.Hour}}, night...), "2026-06-01 12:00:00", true, "",
		},
		"never and cron": {
			"one that is never open does not",
			append([]Window{{"@every 2h", time.Hour}}, night...), "2026-06-01 12:00:00", false, "2026-06-01 22:00:00",
		},
		"time zone": {
			"22 o'clock in Berlin's summer",
			[]Window{{"CRON_TZ=Europe/Berlin 0 22 * * *", time.Hour}},
			"2026-06-01 20:30:00", true, "2026-06-01 21:00:01",
		},
		"time zone in winter": {
			"the same in its winter",
			[]Window{{"TZ=Europe/Berlin 0 22 * * *", time.Hour}},
			"2026-01-01 20:30:00", false, "2026-01-01 21:00:00",
		},
	} {
		t.Run(name, func(t *testing.T) {
			now, change := at(t, c.at), at(t, c.change)
			for _, allow := range []bool{true, false} {
				s := parsed(t, allow, c.windows...)
				if got, want := s.Open(now), c.active == allow; got != want {
					t.Errorf("%s: open: %t, want %t (allow: %t)", c.reason, got, want, allow)
				}
				if got := s.Change(now); !got.Equal(change) {
					t.Errorf("%s: change at %s, want %s (allow: %t)", c.reason, got, change, allow)
				}
				elsewhere := now.In(time.FixedZone("", 3*3600))
				if s.Open(elsewhere) != s.Open(now) || !s.Change(elsewhere).Equal(change) {
					t.Errorf("%s: another time zone of the caller makes a difference", c.reason)
				}
			}
		})
	}
}

func TestFractionsOfASecond(t *testing.T) {
	noon := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	once := Window{"0 12 * * *", 1500 * time.Millisecond}
	minutes := Window{"* * * * *", 59*time.Second + 500*time.Millisecond}
	for name, c := range map[string]struct {
		reason string
		window Window
		after  time.Duration
		open   bool
		change time.Duration // 0 is never
	}{
		"before": {"almost there", once, 24*time.Hour - 1, false, 24 * time.Hour},
		"end":    {"the end is in it", once, 1500 * time.Millisecond, true, 2 * time.Second},
		"past":   {"a nanosecond later is not", once, 1500*time.Millisecond + 1, false, 24 * time.Hour},
		"gap":    {"half a second of a minute is closed", minutes, 59*time.Second + 600*time.Millisecond, false, time.Minute},
		"no gap": {"on whole seconds that is not seen", minutes, 59*time.Second + 400*time.Millisecond, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := parsed(t, true, c.window)
			if got := s.Open(noon.Add(c.after)); got != c.open {
				t.Errorf("%s: open: %t", c.reason, got)
			}
			var want time.Time
			if c.change != 0 {
				want = noon.Add(c.change)
			}
			if got := s.Change(noon.Add(c.after)); !got.Equal(want) {
				t.Errorf("%s: change at %s, want %s", c.reason, got, want)
			}
		})
	}
}

func TestWithoutWindows(t *testing.T) {
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	for name, s := range map[string]Set{"zero": {}, "allow": parsed(t, true), "deny": parsed(t, false)} {
		if !s.Open(now) || !s.Change(now).IsZero() {
			t.Errorf("%s: open: %t, change at %s", name, s.Open(now), s.Change(now))
		}
	}
}

func TestParseErrors(t *testing.T) {
	good := Window{"0 22 * * *", 2 * time.Hour}
	for name, c := range map[string]struct {
		reason string
		bad    Window
		want   string
	}{
		"words":     {"no cron expression", Window{"not-a-cron", time.Hour}, `windows[1].schedule: "not-a-cron" is neither`},
		"empty":     {"nothing", Window{"", time.Hour}, `windows[1].schedule: "" is neither`},
		"seconds":   {"six fields", Window{"0 0 22 * * *", time.Hour}, `windows[1].schedule: "0 0 22 * * *" is neither`},
		"range":     {"there is no hour 24", Window{"0 24 * * *", time.Hour}, `windows[1].schedule: "0 24 * * *" is neither`},
		"step":      {"no way forward", Window{"*/0 * * * *", time.Hour}, `windows[1].schedule: "*/0 * * * *" is neither`},
		"every":     {"no duration", Window{"@every day", time.Hour}, `windows[1].schedule: "@every day" is neither`},
		"reboot":    {"a descriptor of others", Window{"@reboot", time.Hour}, `windows[1].schedule: "@reboot" is neither`},
		"zone":      {"a place that is none", Window{"CRON_TZ=Nowhere 0 0 * * *", time.Hour}, `windows[1].schedule: "CRON_TZ=Nowhere 0 0 * * *" is neither`},
		"only zone": {"the parser would panic", Window{"TZ=0", time.Hour}, `windows[1].schedule: "TZ=0" is a time zone without`},
		"only cron zone": {
			"the parser would panic",
			Window{"CRON_TZ=UTC", time.Hour},
			`windows[1].schedule: "CRON_TZ=UTC" is a time zone without`,
		},
		"no day":   {"it would silently never open", Window{"0 0 30 2 *", time.Hour}, `windows[1].schedule: "0 0 30 2 *" is on no day`},
		"zero":     {"a window without time", Window{"0 0 * * *", 0}, `windows[1].duration: 0s is not`},
		"negative": {"nor with less", Window{"0 0 * * *", -time.Hour}, `windows[1].duration: -1h0m0s is not`},
		"both": {
			"all that is wrong is said",
			Window{"x", 0},
			"windows[1].schedule: \"x\" is neither a cron expression of five fields nor a descriptor such as @daily: expected exactly 5 fields, found 1: [x]\nwindows[1].duration: 0s is not",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Parse(true, []Window{good, c.bad})
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("%s: got %v, want %s", c.reason, err, c.want)
			}
			// External Secrets Operator passes over what it cannot use.
			want := parsed(t, true, good)
			for _, h := range []string{"00", "12", "22", "23"} {
				now := at(t, "2026-06-01 "+h+":30:00")
				if s.Open(now) != want.Open(now) || !s.Change(now).Equal(want.Change(now)) {
					t.Errorf("%s: at %s the window that is right does not count alone", c.reason, now)
				}
			}
			for _, allow := range []bool{true, false} {
				alone, _ := Parse(allow, []Window{c.bad})
				if now := at(t, "2026-06-01 12:30:00"); alone.Open(now) == allow || !alone.Change(now).IsZero() {
					t.Errorf("%s: alone it is not as if never open", c.reason)
				}
			}
		})
	}
}

// TestAgainstEverySecond compares with a list of all seconds of some days.
func TestAgainstEverySecond(t *testing.T) {
	const seed1, seed2, days = 5, 8, 3
	random := rand.New(rand.NewPCG(seed1, seed2)) //nolint:gosec // not for secrets
	changes := 0
	for range 200 {
		from := time.Date(2026, 2, 26, random.IntN(24), 0, 0, 0, time.UTC)
		windows := make([]Window, 1+random.IntN(3))
		for i := range windows {
			windows[i] = randomWindow(random)
		}
		active := seconds(t, windows, from, days*24*3600)
		s := parsed(t, random.IntN(2) == 0, windows...)
		for range 20 {
			i := random.IntN(len(active))
			now := from.Add(time.Duration(i) * time.Second)
			if got := s.Open(now) == s.allow; got != active[i] {
				t.Fatalf("%v at %s: active: %t", windows, now, got)
			}
			k := i + 1
			for k < len(active) && active[k] == active[i] {
				k++
			}
			got := s.Change(now)
			if k == len(active) {
				if !got.IsZero() && got.Before(from.Add(time.Duration(k)*time.Second)) {
					t.Fatalf("%v at %s: change at %s, want none before the end", windows, now, got)
				}
				continue
			}
			changes++
			if want := from.Add(time.Duration(k) * time.Second); !got.Equal(want) {
				t.Fatalf("%v at %s: change at %s, want %s", windows, now, got, want)
			}
		}
	}
	if changes < 1000 {
		t.Errorf("only %d changes were compared", changes)
	}
}

func randomWindow(random *rand.Rand) Window {
	pick := func(of ...string) string { return of[random.IntN(len(of))] }
	schedule := fmt.Sprintf("%s %s %s %s %s",
		pick("*", "0", "0,30", "*/7", "58-59", "1-59/2"), pick("*", "0", "9-17", "*/5", "23", "0,12"),
		pick("*", "*", "1", "27-31"), pick("*", "*", "2", "3"), pick("*", "*", "1-5", "0,6"))
	unit := []time.Duration{time.Millisecond, time.Second, time.Minute, time.Hour}[random.IntN(4)]
	return Window{schedule, time.Duration(1+random.IntN(90)) * unit}
}

// seconds says for each second whether a window is open, by all its firings.
func seconds(t *testing.T, windows []Window, from time.Time, n int) []bool {
	t.Helper()
	out := make([]bool, n)
	until := from.Add(time.Duration(n) * time.Second)
	for _, w := range windows {
		schedule, err := cron.ParseStandard(w.Schedule)
		if err != nil {
			t.Fatal(err)
		}
		open := 0 // all before was looked at
		at := from.Add(-w.Duration - time.Minute)
		for at = schedule.Next(at); !at.IsZero() && at.Before(until); at = schedule.Next(at) {
			for open = max(open, int(at.Sub(from)/time.Second)); open < n && from.Add(time.Duration(open)*time.Second).Sub(at) <= w.Duration; open++ {
				out[open] = true
			}
		}
	}
	return out
}

// turns are windows that take turns: one is open at all times, and none of them
// is on its own.
func turns() []Window {
	return []Window{{"*/2 * * * *", time.Minute}, {"1-59/2 * * * *", time.Minute}}
}

// TestChangeGoesOn: whoever asks again and again comes to the change, or past
// the five years.
func TestChangeGoesOn(t *testing.T) {
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	s := parsed(t, true, turns()...)
	next := s.Change(now)
	if !next.After(now.Add(24*time.Hour)) || !s.Open(next) {
		t.Fatalf("followed until %s, where it is open: %t", next, s.Open(next))
	}
	if again := s.Change(next); !again.After(next) {
		t.Errorf("from there to %s", again)
	}
}

// BenchmarkChange shows that the work is bounded for what could go on for years.
func BenchmarkChange(b *testing.B) {
	var many []Window
	for m := range 60 {
		for h := range 24 {
			many = append(many, Window{fmt.Sprintf("%d %d * * *", m, h), time.Minute})
		}
	}
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	for name, windows := range map[string][]Window{
		"night":      {{"0 22 * * *", 2 * time.Hour}},
		"always":     {{"* * * * *", time.Hour}},
		"every":      {{"@every 1s", time.Hour}},
		"half days":  {{"0 0 * * *", 12 * time.Hour}, {"0 12 * * *", 12 * time.Hour}},
		"weekdays":   {{"* * * * 1-5", time.Hour}, {"* * * * 0,6", time.Hour}},
		"turns":      turns(),
		"each daily": many,
		"zone":       {{"CRON_TZ=Europe/Berlin * * * * *", time.Minute}},
		"leap years": {{"* * * * 1-5", time.Hour}, {"* * * * 0,6", time.Hour}, {"0 0 29 2 *", 1}},
	} {
		b.Run(name, func(b *testing.B) {
			s, err := Parse(true, windows)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				s.Change(now)
			}
		})
	}
}
