package plugintest_test

import (
	"os"
	"testing"
	"time"

	"github.com/agentarea/agentarea/sdk/plugintest"
)

// TestMain shortens the times that a plugin has to start, if the test that started this process requires it.
func TestMain(m *testing.M) {
	handshake, err := time.ParseDuration(os.Getenv("HANDSHAKE_TIME"))
	if err == nil {
		plugintest.SetStartTimes(handshake, 2*handshake)
	}
	os.Exit(m.Run())
}
