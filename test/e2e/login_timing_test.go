package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/agentarea/agentarea/test/testenv"
)

// The duration of a failed sign-in does not reveal whether the user exists. The test measures again if
// the machine was busy: a server that hashes for one of the two only would need ten times as long
// for it each time.
func TestLoginTiming(t *testing.T) {
	testenv.Slow(t)
	s := start(t, "")
	admin := s.signIn()
	const rounds, tries = 24, 5
	var ratio float64
	for try := range tries {
		var unknown, wrong []time.Duration
		for i := range rounds {
			name := fmt.Sprintf("user-%d-%d", try, i/4)
			if i%4 == 0 { // failures are limited by name
				admin.post("/v1/users/",
					object{"username": name, "email": name + "@example.com", "password": "a long password"}).want(t, 201)
			}
			from := net.IPv4(127, 0, byte(2+try), byte(1+i/4))
			unknown = append(unknown, s.failedSignIn(from, fmt.Sprintf("none-%d-%d", try, i/4)))
			wrong = append(wrong, s.failedSignIn(from, name))
		}
		ratio = float64(median(unknown)) / float64(median(wrong))
		t.Logf("unknown user %s, wrong password %s", median(unknown), median(wrong))
		if ratio > 0.9 && ratio < 1.1 {
			return
		}
	}
	t.Errorf("an unknown user takes %.2f of the time of a wrong password, want 0.9 to 1.1", ratio)
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

// failedSignIn returns how long a sign-in with a wrong password takes.
func (s *server) failedSignIn(from net.IP, name string) time.Duration {
	s.t.Helper()
	body, err := json.Marshal(object{"username": name, "password": "not this one"})
	if err != nil {
		s.t.Fatal(err)
	}
	transport := &http.Transport{DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: from}}).DialContext}
	defer transport.CloseIdleConnections()
	began := time.Now()
	resp, err := (&http.Client{Transport: transport}).Post(s.url+"/v1/auth/login", "application/json",
		bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	took := time.Since(began)
	defer resp.Body.Close()
	if resp.StatusCode != 401 {
		s.t.Fatalf("got status %d, want 401", resp.StatusCode)
	}
	return took
}
