package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/packages/ssestream"

	"github.com/agentarea/agentarea/sdk/llm"
	"github.com/agentarea/agentarea/test/openaitest"
)

const benchChunk = `{"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o","service_tier":"default",` +
	`"system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{"content":" hello"},"logprobs":null,"finish_reason":null}],"usage":null}`

// countingStream counts and discards deltas.
type countingStream struct{ n int }

func (s *countingStream) Send(llm.Delta) error {
	s.n++
	return nil
}

// BenchmarkChunk compares the cost of one chunk of a stream in this plugin and in the SDK's
// stream.
func BenchmarkChunk(b *testing.B) {
	body := func(n int) io.ReadCloser {
		return io.NopCloser(bytes.NewReader(bytes.Repeat(fmt.Appendf(nil, "data: %s\n\n", benchChunk), n)))
	}
	b.Run("plugin", func(b *testing.B) {
		b.ReportAllocs()
		p := configured(b, "http://127.0.0.1:1/v1", nil)
		c := p.newCall(b.Context(), p.config.Timeout)
		defer c.close()
		in, out := body(b.N), &countingStream{}
		b.ResetTimer()
		_ = c.readStream(bufio.NewReader(in), &answer{out: out})
		if out.n != b.N {
			b.Fatalf("got %d deltas, want %d", out.n, b.N)
		}
	})
	b.Run("sdk", func(b *testing.B) {
		b.ReportAllocs()
		n := 0
		in := body(b.N)
		b.ResetTimer()
		stream := ssestream.NewStream[openai.ChatCompletionChunk](ssestream.NewDecoder(&http.Response{Body: in, Header: http.Header{}}), nil)
		for stream.Next() {
			n += len(stream.Current().Choices)
		}
		if n != b.N {
			b.Fatalf("got %d deltas, want %d", n, b.N)
		}
	})
}

// BenchmarkChat measures an answer of 50 tokens, including the time of the fake server.
func BenchmarkChat(b *testing.B) {
	s := openaitest.New(openaitest.Options{Tokens: 50})
	url, err := s.Start("127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	p := configured(b, url, nil)
	for name, stream := range map[string]bool{"stream": true, "complete": false} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Chat(b.Context(), newRequest(stream), &countingStream{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
