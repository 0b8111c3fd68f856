package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/agentarea/agentarea/sdk/mcptransport"
)

// Messages arrive unchanged, whatever they contain.
func TestMessagesAreUnchanged(t *testing.T) {
	t.Parallel()
	calls := map[string]string{
		"an unknown method":    `{"jsonrpc":"2.0","id":1,"method":"x/unknown","params":{"a":[1,2,{"b":null}]},"extra":{"c":true}}`,
		"a string id":          `{"jsonrpc":"2.0","id":"a<b> é \"1\"","method":"x"}`,
		"a large id":           `{"jsonrpc":"2.0","id":9007199254740993,"method":"x"}`,
		"a fractional id":      `{"jsonrpc":"2.0","id":1.50,"method":"x"}`,
		"large numbers":        `{"jsonrpc":"2.0","id":1,"method":"x","params":{"n":123456789012345678901234567890,"f":1.0,"e":1E400}}`,
		"escapes and no ASCII": `{"jsonrpc":"2.0","id":1,"method":"x","params":{"s":"\u003c\u2028 <&> 日本 \ud83d\ude00"}}`,
		"positional params":    `{"jsonrpc":"2.0","id":1,"method":"x","params":[1,2]}`,
		"another order":        `{"params":{"id":7,"method":"no"},"method":"x","id":2,"jsonrpc":"2.0"}`,
	}
	replies := []string{
		`{"jsonrpc":"2.0","id":%s,"result":{"n":123456789012345678901234567890,"x":{"unknown":[1.0,"<&>"]}},"extra":1}`,
		`{"id":%s,"error":{"code":-32042,"message":"no <b>","data":{"deep":[1e400]},"more":true},"jsonrpc":"2.0"}`,
		`{"result":{"method":"no","id":5},"jsonrpc":"2.0","id":%s}`,
	}
	for name, message := range calls {
		for i, reply := range replies {
			for _, stream := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s %d %v", name, i, stream), func(t *testing.T) {
					t.Parallel()
					m, err := parseMessage([]byte(message))
					if err != nil {
						t.Fatal(err)
					}
					reply := fmt.Sprintf(reply, m.head.ID)
					got := make(chan string, 1)
					c := connect(t, func(w http.ResponseWriter, r *http.Request) {
						got <- bodyOf(r)
						if stream {
							events(w, "data: "+reply+"\n\n")
						} else {
							answer(w, reply)
						}
					})
					send(t, c, message)
					if sent := <-got; sent != message {
						t.Errorf("the server received %s, want %s", sent, message)
					}
					if back := receive(t, c); back != reply {
						t.Errorf("the host received %s, want %s", back, reply)
					}
				})
			}
		}
	}
}

// Other messages in the stream of a call are delivered, too, in their order.
func TestCallStream(t *testing.T) {
	t.Parallel()
	want := []string{
		`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}`,
		`{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{}}`,
		`{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"?"}}`,
		`{"jsonrpc":"2.0","id":1,"result":{}}`,
		`{"jsonrpc":"2.0","method":"notifications/late"}`,
	}
	c := connect(t, func(w http.ResponseWriter, _ *http.Request) {
		events(w, ": hello\r\n\r\nid: 1\ndata:\n\n"+
			"event: message\ndata: "+want[0]+"\n\n"+
			"event: other\ndata: {}\n\n"+
			"data:"+want[1]+
			"\r\rdata: {\"jsonrpc\":\"2.0\",\ndata: \"id\":null,\ndata: \"error\":{\"code\":-32700,\"message\":\"?\"}}\n\n"+
			"data: "+want[3]+"\n\ndata: "+want[4]+"\n\n")
	})
	send(t, c, `{"jsonrpc":"2.0","id":1,"method":"tools/call"}`)
	for _, w := range want {
		if got := receive(t, c); got != w {
			t.Errorf("got %s, want %s", got, w)
		}
	}
}

func TestBatchesAndLineBreaks(t *testing.T) {
	t.Parallel()
	c := connect(t, func(w http.ResponseWriter, _ *http.Request) {
		answer(w,
			"[\n {\"jsonrpc\":\"2.0\", \"method\":\"n\"},\n {\"jsonrpc\":\"2.0\",\n\"id\":1,\"result\":{\"t\":\"a\\nb  c\"}}\n]\n")
	})
	send(t, c, `{"jsonrpc":"2.0","id":1,"method":"x"}`)
	want(t, c, `{"jsonrpc":"2.0","method":"n"}`)
	want(t, c, `{"jsonrpc":"2.0","id":1,"result":{"t":"a\nb  c"}}`)
}

// Many concurrent calls are answered by id while another call hangs.
func TestConcurrentCalls(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	c := connect(t, func(w http.ResponseWriter, r *http.Request) {
		m, _ := parseMessage([]byte(bodyOf(r)))
		if m.head.Method == "hang" {
			<-release
		}
		answer(w, fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{}}`, m.head.ID))
	})
	send(t, c, `{"jsonrpc":"2.0","id":"hang","method":"hang"}`)
	var sending sync.WaitGroup
	for i := range 50 {
		sending.Go(func() {
			if err := c.Send(t.Context(), fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":"x"}`, i)); err != nil {
				t.Error(err)
			}
		})
	}
	seen := map[string]bool{}
	for range 50 {
		seen[receive(t, c)] = true
	}
	sending.Wait()
	if len(seen) != 50 {
		t.Errorf("got %d different answers, want 50", len(seen))
	}
	close(release)
	want(t, c, `"id":"hang"`)
}

// Answers and notifications of the host reach the server unchanged.
func TestAnswersAndNotifications(t *testing.T) {
	t.Parallel()
	got := make(chan string, 3)
	c := connect(t, func(w http.ResponseWriter, r *http.Request) {
		got <- bodyOf(r)
		w.WriteHeader(http.StatusAccepted)
	})
	messages := []string{
		`{"jsonrpc":"2.0","id":12345678901234567890,"result":{"x":1}}`,
		`{"jsonrpc":"2.0","id":null,"error":{"code":-1,"message":"m","data":[1]}}`,
		`{"jsonrpc":"2.0","method":"notifications/x","params":{"a":1}}`,
	}
	for _, m := range messages {
		send(t, c, m)
		if sent := <-got; sent != m {
			t.Errorf("the server received %s, want %s", sent, m)
		}
	}
}

// An answer that is too long fails its call and does not affect others.
func TestTooLong(t *testing.T) {
	t.Parallel()
	padding := strings.Repeat("x", mcptransport.MaxMessage)
	for _, stream := range []bool{false, true} {
		t.Run(fmt.Sprint(stream), func(t *testing.T) {
			t.Parallel()
			c := connect(t, func(w http.ResponseWriter, r *http.Request) {
				m, _ := parseMessage([]byte(bodyOf(r)))
				id := string(m.head.ID)
				switch {
				case m.head.Method == "small":
					answer(w, `{"jsonrpc":"2.0","id":`+id+`,"result":{}}`)
				case stream:
					events(w, `data: {"jsonrpc":"2.0","method":"n","params":{"blob":"`+padding+"\"}}\n\n"+
						`data: {"result":{"blob":"`+padding+`","id":8},"id":`+id+"}\n\n")
				default:
					answer(w, `{"result":{"blob":"`+padding+`"},"id":`+id+`}`)
				}
			})
			send(t, c, `{"jsonrpc":"2.0","id":"big","method":"big"}`)
			want(t, c, `"id":"big"`, `"error"`, "16 MiB")
			send(t, c, `{"jsonrpc":"2.0","id":2,"method":"small"}`)
			want(t, c, `{"jsonrpc":"2.0","id":2,"result":{}}`)
		})
	}
}
