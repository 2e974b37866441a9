// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

type phase int

const (
	preparing   phase = iota // reading the graph of packages
	downloading              // modules, while preparing
	compiling
	linking
)

// A state is all that a progress line shows.
type state struct {
	part         string
	index, count int // this part of so many
	phase        phase
	modules      int // downloaded so far; nobody knows how many there will be
	done, total  int // packages compiled of those that are not in Go's build cache
	start        time.Time
}

const barWidth = 16

// text is the progress as words, without the part and the time.
func (s state) text() string {
	switch s.phase {
	case downloading:
		return fmt.Sprintf("%d modules downloaded", s.modules)
	case compiling:
		return fmt.Sprintf("%3d%% %d/%d packages", s.percent(), s.done, s.total)
	case linking:
		return "linking"
	default:
		return "reading packages"
	}
}

// percent rounds down, so that 100 is not shown before the end.
func (s state) percent() int {
	if s.total <= 0 {
		return 0
	}
	return min(s.done, s.total) * 100 / s.total
}

// plain is a line for a log.
func (s state) plain(now time.Time) string {
	return fmt.Sprintf("[%d/%d] %s: %s, %s", s.index, s.count, s.part, strings.TrimSpace(s.text()), clock(now.Sub(s.start)))
}

// bar is a line for a terminal, short enough for 80 columns: a longer one
// would wrap and could not be rewritten.
func (s state) bar(now time.Time) string {
	filled := s.percent() * barWidth / 100
	if s.phase == linking {
		filled = barWidth
	}
	return fmt.Sprintf("[%d/%d] %s [%s%s] %s %s", s.index, s.count, s.part,
		strings.Repeat("#", filled), strings.Repeat(".", barWidth-filled), s.text(), clock(now.Sub(s.start)))
}

// clock shows a duration to the second.
func clock(d time.Duration) string {
	return d.Round(time.Second).String()
}

// Intervals between two lines: rewritten on a terminal, new in a log.
const (
	terminalEvery = 200 * time.Millisecond
	logEvery      = 10 * time.Second
)

// A meter shows the state of one part while it is being built.
type meter struct {
	out      io.Writer
	terminal bool

	mu    sync.Mutex
	state state

	quit, gone chan struct{}
}

// newMeter starts a meter; the caller must stop it.
func newMeter(out io.Writer, terminal bool, s state) *meter {
	m := &meter{out: out, terminal: terminal, state: s, quit: make(chan struct{}), gone: make(chan struct{})}
	go m.show()
	return m
}

func (m *meter) show() {
	defer close(m.gone)
	every := logEvery
	if m.terminal {
		every = terminalEvery
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-m.quit:
			return
		case now := <-tick.C:
			m.mu.Lock()
			m.line(now)
			m.mu.Unlock()
		}
	}
}

// line writes the progress; the caller holds the mutex.
func (m *meter) line(now time.Time) {
	if m.terminal {
		say(m.out, "%s%s", eraseLine, m.state.bar(now))
		return
	}
	say(m.out, "%s\n", m.state.plain(now))
}

// eraseLine goes to the first column and clears what is there.
const eraseLine = "\r\x1b[K"

// set changes what the next line shows.
func (m *meter) set(change func(*state)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(&m.state)
}

// note writes a line that stays.
func (m *meter) note(text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.terminal {
		say(m.out, eraseLine)
	}
	say(m.out, "[%d/%d] %s: %s\n", m.state.index, m.state.count, m.state.part, text)
}

// stop ends the progress lines and, on a terminal, takes the last one away.
func (m *meter) stop() {
	close(m.quit)
	<-m.gone
	if m.terminal {
		say(m.out, eraseLine)
	}
}
