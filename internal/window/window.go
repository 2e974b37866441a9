// SPDX-License-Identifier: Apache-2.0

// Package window says when an object may be refreshed: in the windows of time
// that its author allows, or outside of those that he denies. It reads no
// clock, and it neither waits nor refreshes; package feed does.
package window

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Window is open from each firing of its schedule until the duration is over,
// both ends included.
type Window struct {
	// Schedule is a cron expression of five fields, in UTC unless it begins with
	// CRON_TZ=Area/Place, or a descriptor such as @daily.
	//
	// @every has no moment from which it counts. Such a window is always open if
	// it recurs before its duration is over, and otherwise never, which is what
	// it comes to in External Secrets Operator.
	Schedule string
	// Duration is positive.
	Duration time.Duration
}

// Set is some windows in which something is either allowed or denied. Without
// windows it is allowed at all times.
type Set struct {
	allow   bool
	windows []window
}

// window is a Window made ready. Without a schedule it is open always or never.
type window struct {
	schedule cron.Schedule
	duration time.Duration
	always   bool
	// lastOfDay is the time of a day at which the schedule fires last, where the
	// window stays open from the first firing of a day until then; or zero.
	lastOfDay time.Duration
}

// Parse makes a Set. The error names every window that cannot be used, by its
// index and field; in the Set that comes with it those are never open.
func Parse(allow bool, windows []Window) (Set, error) {
	s := Set{allow: allow, windows: make([]window, len(windows))}
	var problems []error
	for i, w := range windows {
		schedule, err := parse(w.Schedule)
		if err != nil {
			problems = append(problems, fmt.Errorf("windows[%d].schedule: %w", i, err))
		}
		if w.Duration <= 0 {
			problems = append(problems, fmt.Errorf("windows[%d].duration: %s is not longer than nothing", i, w.Duration))
		}
		if err == nil && w.Duration > 0 {
			s.windows[i] = prepare(schedule, w.Duration)
		}
	}
	return s, errors.Join(problems...)
}

func parse(expression string) (cron.Schedule, error) {
	// The parser panics on a time zone without anything after it.
	if strings.HasPrefix(expression, "TZ=") || strings.HasPrefix(expression, "CRON_TZ=") {
		if !strings.Contains(expression, " ") {
			return nil, fmt.Errorf("%q is a time zone without a schedule", expression)
		}
	}
	schedule, err := cron.ParseStandard(expression)
	if err != nil {
		return nil, fmt.Errorf("%q is neither a cron expression of five fields nor a descriptor such as @daily: %w", expression, err)
	}
	// A leap year has all the days there are.
	if schedule.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, fmt.Errorf("%q is on no day of any year", expression)
	}
	return schedule, nil
}

func prepare(schedule cron.Schedule, duration time.Duration) window {
	w := window{schedule: schedule, duration: duration}
	switch s := schedule.(type) {
	case cron.ConstantDelaySchedule:
		return window{always: s.Delay <= duration}
	case *cron.SpecSchedule:
		if s.Location != time.Local && s.Location != time.UTC {
			break // days there are not always of 24 hours
		}
		times := timesOfDay(s)
		first, last := times[0], times[len(times)-1]
		widest := time.Duration(0)
		for i := range times[1:] {
			widest = max(widest, times[i+1]-times[i])
		}
		if widest <= duration.Truncate(time.Second)+time.Second {
			w.lastOfDay = last
		}
		w.always = daily(s) && max(widest, first+24*time.Hour-last) <= duration
	}
	return w
}

// timesOfDay are the times at which a schedule fires on a day on which it does.
func timesOfDay(s *cron.SpecSchedule) []time.Duration {
	var out []time.Duration
	for h := range 24 {
		for m := range 60 {
			if s.Hour&(1<<h) != 0 && s.Minute&(1<<m) != 0 {
				out = append(out, time.Duration(h)*time.Hour+time.Duration(m)*time.Minute)
			}
		}
	}
	return out
}

// daily reports whether a schedule fires on all days.
func daily(s *cron.SpecSchedule) bool {
	const months, days, weekdays = 1<<13 - 1<<1, 1<<32 - 1<<1, 1<<7 - 1
	return s.Month&months == months && s.Dom&days == days && s.Dow&weekdays == weekdays
}

// Open reports whether t is a time to refresh.
func (s Set) Open(t time.Time) bool {
	if len(s.windows) == 0 {
		return true
	}
	active := slices.ContainsFunc(s.windows, func(w window) bool { return w.active(t.UTC()) })
	return active == s.allow
}

func (w window) active(t time.Time) bool {
	if w.always || w.schedule == nil {
		return w.always
	}
	first := w.first(t)
	return !first.IsZero() && !first.After(t)
}

// first is the first firing whose window does not end before t.
func (w window) first(t time.Time) time.Time {
	return w.schedule.Next(t.Add(-w.duration - time.Nanosecond))
}

// Change returns the first whole second after t at which Open says something
// else than at t, or the zero time when there is none within five years.
//
// Windows may take turns so that one is open at all times for years. What
// cannot be followed to its end with a reasonable effort is answered with the
// moment until which it was followed: until then nothing changes, so whoever
// waits for it finds out by asking again.
func (s Set) Change(t time.Time) time.Time {
	t = t.UTC()
	limit := t.AddDate(5, 0, 0)
	if slices.ContainsFunc(s.windows, func(w window) bool { return w.always }) {
		return time.Time{}
	}
	var tracks []*track
	for _, w := range s.windows {
		if w.schedule != nil {
			tracks = append(tracks, &track{window: w})
		}
	}
	var at time.Time
	if slices.ContainsFunc(tracks, func(r *track) bool { return r.active(t) }) {
		at = closing(tracks, t, limit)
	} else {
		at = opening(tracks, t)
	}
	if at.After(limit) {
		return time.Time{}
	}
	return at
}

// opening is the first firing after t, when no window is open; zero for none.
func opening(tracks []*track, t time.Time) time.Time {
	var out time.Time
	for _, r := range tracks {
		if next := r.schedule.Next(t); !next.IsZero() && (out.IsZero() || next.Before(out)) {
			out = next
		}
	}
	return out
}

// effort bounds the work of one Change: five years in steps of a day for a
// handful of windows. To look at a window is 1, to search its firings is about
// as much as search looks.
const (
	effort = 1 << 18
	search = 16
)

// closing is the first whole second after t at which no window is open, when
// at t one is. It goes from the end of one window to the end of those that are
// open there.
func closing(tracks []*track, t, limit time.Time) time.Time {
	for spent := 0; spent < effort && !t.After(limit); spent += len(tracks) {
		var end time.Time
		for _, r := range tracks {
			if r.stale(t) {
				r.seek(t)
				spent += search
			}
			if e := r.end(); !e.Before(t) && e.After(end) {
				end = e
			}
		}
		if end.IsZero() {
			return t
		}
		t = end.Truncate(time.Second).Add(time.Second)
	}
	return t
}

// track follows one window through time, forwards only.
type track struct {
	window
	last time.Time // the last firing until now, if it can still matter, or zero
	next time.Time // the first one after now; zero before the first seek
	done bool      // there is no further one
}

// stale reports whether t is past what was sought.
func (r *track) stale(t time.Time) bool {
	return !r.done && !t.Before(r.next)
}

// seek finds the firings around t.
func (r *track) seek(t time.Time) {
	from := t.Add(-r.duration - time.Nanosecond)
	if before := r.next.Add(-time.Nanosecond); before.After(from) {
		from = before
	}
	if first := r.schedule.Next(from); !first.IsZero() && !first.After(t) {
		r.last = r.latest(first, t)
	}
	r.next = r.schedule.Next(t)
	r.done = r.next.IsZero()
}

// latest is the last firing until t, given an earlier one. A schedule can only
// be asked forwards, so it asks in halves.
func (r *track) latest(first, t time.Time) time.Time {
	for width := t.Sub(first) / 2; width >= time.Second; width /= 2 {
		if later := r.schedule.Next(first.Add(width)); !later.IsZero() && !later.After(t) {
			first = later
		}
	}
	return first
}

// end is when the window of the last firing is over, or of the last one on the
// same day if it is open until then.
func (r *track) end() time.Time {
	if r.last.IsZero() {
		return time.Time{}
	}
	last := r.last
	if r.lastOfDay > 0 {
		last = last.Truncate(24 * time.Hour).Add(r.lastOfDay)
	}
	return last.Add(r.duration)
}
