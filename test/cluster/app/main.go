// SPDX-License-Identifier: Apache-2.0

// Command app plays the applications of the end-to-end test, which get their
// credentials from a mounted Secret: a server that lets in who knows them, and
// a client that connects to it. Neither is restarted when they change.
//
//	app serve :8080 DIR             sends away who was let in, when they change
//	app connect HOST:8080 DIR       connects again, with what is mounted now
//
// DIR is where the Secret is mounted: with a file username and a file password.
// It says when it connects and why it does not, and no credentials.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// often is how often files and connections are looked at.
const often = 200 * time.Millisecond

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "app:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 3 {
		return errors.New("usage: app serve|connect ADDRESS DIR")
	}
	switch args[0] {
	case "serve":
		return serve(ctx, args[1], args[2])
	case "connect":
		return connect(ctx, args[1], args[2])
	default:
		return fmt.Errorf("%q is not serve or connect", args[0])
	}
}

// credentials reads what is mounted, as the line that a client sends.
func credentials(dir string) (string, error) {
	user, err := os.ReadFile(filepath.Join(dir, "username"))
	if err != nil {
		return "", err
	}
	password, err := os.ReadFile(filepath.Join(dir, "password"))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s %s", user, password), nil
}

func serve(ctx context.Context, address, dir string) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	fmt.Println("serving")
	go func() {
		<-ctx.Done()
		_ = l.Close()
	}()
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil // it is told to end
		}
		if err != nil {
			return err
		}
		go session(ctx, conn, dir)
	}
}

// session lets one client in and keeps it, as long as the credentials stay.
func session(ctx context.Context, conn net.Conn, dir string) {
	defer func() { _ = conn.Close() }()
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	sent, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return
	}
	sent = strings.TrimSuffix(sent, "\n")
	if want, err := credentials(dir); err != nil || sent != want {
		fmt.Println("refused a client")
		_, _ = io.WriteString(conn, "no\n")
		return
	}
	fmt.Println("let a client in")
	tick := time.NewTicker(often)
	defer tick.Stop()
	for {
		// The client learns that it is still welcome, and we that it is there.
		if _, err := io.WriteString(conn, "welcome\n"); err != nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if want, err := credentials(dir); err != nil || sent != want {
			fmt.Println("sent a client away: the credentials are others now")
			return
		}
	}
}

func connect(ctx context.Context, address, dir string) error {
	fmt.Println("Waiting for the server to be ready...")
	tick := time.NewTicker(often)
	defer tick.Stop()
	last := ""
	for times := 1; ctx.Err() == nil; {
		welcome, err := stay(ctx, address, dir, func() { fmt.Printf("Connected to the server (%d)\n", times) })
		if welcome {
			times++
		}
		if text := err.Error(); text != last {
			fmt.Println(text)
			last = text
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	return nil
}

// stay connects once, and reports whether it was let in and why that is over.
func stay(ctx context.Context, address, dir string, in func()) (bool, error) {
	text, err := credentials(dir)
	if err != nil {
		return false, errors.New("the credentials are not mounted")
	}
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return false, errors.New("the server is not there")
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, text+"\n"); err != nil {
		return false, errors.New("the server is gone")
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	lines := bufio.NewScanner(conn)
	welcome := false
	for conn.SetReadDeadline(time.Now().Add(10*time.Second)) == nil && lines.Scan() && lines.Text() == "welcome" {
		if !welcome {
			welcome = true
			in()
		}
	}
	if !welcome {
		return false, errors.New("the server refused the credentials")
	}
	return true, errors.New("the server ended the connection")
}
