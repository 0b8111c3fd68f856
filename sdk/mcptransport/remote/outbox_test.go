package remote

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentarea/agentarea/sdk"
)

var (
	answer      = Head{ID: json.RawMessage("1")}
	initialized = Head{Method: "notifications/initialized"}
	progress    = Head{Method: "notifications/progress"}
)

// TestOutbox_order checks that notifications keep their order, and that answers overtake them.
func TestOutbox_order(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		o := NewOutbox(ctx, NewInbox())
		posted := make(chan string, 10)
		send := func(head Head, name string, took time.Duration) {
			err := o.Send(t.Context(), head, func(context.Context) error {
				time.Sleep(took)
				posted <- name
				return nil
			})
			if err != nil {
				t.Errorf("Send(%s) = %v", name, err)
			}
		}
		began := time.Now()
		send(progress, "first", 3*time.Second)
		send(progress, "second", time.Second)
		send(answer, "answer", 2*time.Second)
		if d := time.Since(began); d != 0 {
			t.Errorf("Send waited %s for the server", d)
		}
		send(initialized, "initialized", time.Second)
		if d := time.Since(began); d != time.Second {
			t.Errorf("Send waited %s for the acceptance of notifications/initialized, want 1s", d)
		}
		want := []string{"initialized", "answer", "first", "second"}
		var got []string
		for range want {
			got = append(got, <-posted)
		}
		if !slices.Equal(got, want) {
			t.Errorf("posted %q, want %q", got, want)
		}
	})
}

func TestOutbox_logsErrors(t *testing.T) {
	t.Parallel()
	for head, want := range map[*Head]string{
		&progress: "could not send notifications/progress: example.com answered 404 Not Found",
		&answer:   "could not send an answer: example.com answered 404 Not Found",
	} {
		inbox := NewInbox()
		o := NewOutbox(t.Context(), inbox)
		err := o.Send(t.Context(), *head, func(context.Context) error {
			return &sdk.Error{Code: sdk.CodeNotFound, Message: "example.com answered 404 Not Found"}
		})
		if err != nil {
			t.Errorf("Send(%+v) = %v", *head, err)
		}
		if f, err := inbox.Receive(t.Context()); err != nil || f.Stderr != want {
			t.Errorf("Receive() = %q, %v, want the line %q", f.Stderr, err, want)
		}
	}
}

func TestOutbox_fullQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		defer end()
		o := NewOutbox(ctx, NewInbox())
		hang := func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}
		for range queueSize + 1 {
			if err := o.Send(t.Context(), progress, hang); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := o.Send(short, progress, hang); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Send() with a full queue = %v, want %v", err, context.DeadlineExceeded)
		}
		end()
		if err := o.Send(t.Context(), progress, hang); err != nil {
			t.Errorf("Send() after the end = %v, want nil", err)
		}
	})
}

func TestOutbox_panicFailsOneMessage(t *testing.T) {
	t.Parallel()
	inbox := NewInbox()
	defer inbox.End("test ended")
	o := NewOutbox(t.Context(), inbox)
	for _, head := range []Head{progress, answer} {
		if err := o.Send(t.Context(), head, func(context.Context) error { panic("out of cheese") }); err != nil {
			t.Fatal(err)
		}
		if f := <-inbox.frames; !strings.Contains(f.Stderr, "could not send") || strings.Contains(f.Stderr, "cheese") {
			t.Errorf("got log line %q, want the failure without the value of the panic", f.Stderr)
		}
	}
	sent := make(chan bool)
	if err := o.Send(t.Context(), progress, func(context.Context) error { close(sent); return nil }); err != nil {
		t.Fatal(err)
	}
	<-sent
}
