package events

import (
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
)

// These types document the messages of a WebSocket: those of a client, the replies to them, and the notifications.
type (
	authMessage struct {
		Type  string `json:"type" enum:"auth" doc:"From the client: signs in. It must be the first message"`
		Token string `json:"token" doc:"An access token or an API key"`
	}
	subscribeMessage struct {
		Type    string `json:"type" enum:"subscribe" doc:"From the client: subscribes to a channel"`
		Channel string `json:"channel" doc:"agent.{id}.events, task.{id}.events, tasks or system"`
		After   *int64 `json:"after,omitempty" minimum:"0" doc:"The seq of the last message you received. The reply is followed by the stored messages after it"`
	}
	unsubscribeMessage struct {
		Type    string `json:"type" enum:"unsubscribe" doc:"From the client: ends a subscription"`
		Channel string `json:"channel"`
	}
	pingMessage struct {
		Type string `json:"type" enum:"ping" doc:"From the client: checks the connection"`
	}

	authOKMessage struct {
		Type string `json:"type" enum:"auth.ok" doc:"From the server: you are signed in"`
	}
	subscribedMessage struct {
		Type    string `json:"type" enum:"subscribed" doc:"From the server: later messages of the channel follow"`
		Channel string `json:"channel"`
		Seq     int64  `json:"seq" doc:"The number after which the messages begin"`
	}
	unsubscribedMessage struct {
		Type    string `json:"type" enum:"unsubscribed" doc:"From the server: the subscription has ended"`
		Channel string `json:"channel"`
	}
	pongMessage struct {
		Type string `json:"type" enum:"pong" doc:"From the server: the reply to ping"`
	}

	agentMessage struct {
		Type      string `json:"type" enum:"agent.message" doc:"From the server: an answer of an agent"`
		AgentID   string `json:"agent_id"`
		SessionID string `json:"session_id"`
		Message   string `json:"message"`
		MessageID string `json:"message_id"`
		RunID     string `json:"run_id"`
		// Delivery is exported because Huma ignores embedded structs that are not.
		Delivery
	}
	taskStatusMessage struct {
		Type     string          `json:"type" enum:"task.status" doc:"From the server: the status of a task has changed"`
		TaskID   string          `json:"task_id"`
		Status   core.TaskStatus `json:"status" enum:"pending,running,completed,failed,cancelled"`
		AgentID  string          `json:"agent_id"`
		Attempts int             `json:"attempts"`
		RunID    string          `json:"run_id,omitempty"`
		Result   any             `json:"result,omitempty" doc:"The result of a completed task"`
		Error    *api.RunError   `json:"error,omitempty" doc:"Why the task, or its last attempt, has failed"`
		Delivery
	}
	systemMessage struct {
		Type      string     `json:"type" enum:"system.notification" doc:"From the server: a plugin or an MCP server has started, failed or recovered"`
		Level     core.Level `json:"level" enum:"info,warning,error"`
		Message   string     `json:"message"`
		Timestamp api.Time   `json:"timestamp"`
		Delivery
	}
	// Delivery has the last fields of each notification.
	Delivery struct {
		Channel string `json:"channel"`
		Seq     int64  `json:"seq" doc:"Increases, with gaps. Subscribe with after to continue after this message"`
	}
)

var exampleSeq int64 = 17

// exampleMessages has an example of each message.
var exampleMessages = []any{
	authMessage{"auth", "your-access-token"},
	subscribeMessage{"subscribe", core.AgentChannel("agent-123"), &exampleSeq},
	unsubscribeMessage{"unsubscribe", core.ChannelTasks},
	pingMessage{"ping"},
	authOKMessage{"auth.ok"},
	subscribedMessage{"subscribed", core.AgentChannel("agent-123"), exampleSeq},
	unsubscribedMessage{"unsubscribed", core.ChannelTasks},
	pongMessage{"pong"},
	api.ExampleError,
	agentMessage{
		"agent.message", "agent-123", "session-456", "Processing your request...", "msg-789", "run-123",
		Delivery{core.AgentChannel("agent-123"), 18},
	},
	taskStatusMessage{
		Type: "task.status", TaskID: "task-123", Status: core.TaskCompleted, AgentID: "agent-123", Attempts: 1,
		RunID: "run-123", Result: json.RawMessage(`{"message":"Done."}`), Delivery: Delivery{core.ChannelTasks, 21},
	},
	systemMessage{
		"system.notification", core.LevelInfo, "MCP server restarted", api.ExampleTime, Delivery{core.ChannelSystem, 22},
	},
}

// describe adds the WebSocket to the OpenAPI document. The document has its messages as the content of the reply that
// opens the connection, because OpenAPI knows no WebSockets.
func describe(a *api.API) {
	responses := map[string]*huma.Response{}
	a.DescribeErrors(api.Operation{Access: api.Anyone, Errors: []core.Code{core.CodeForbidden, core.CodeValidation}},
		responses)
	responses["101"] = &huma.Response{
		Description: "The connection is now a WebSocket. Each message in either direction is a text frame with a JSON " +
			"object, whose `type` selects its fields",
		Content: map[string]*huma.MediaType{"application/json": a.Union("WebSocketMessage", exampleMessages)},
	}
	a.OpenAPI().AddOperation(&huma.Operation{
		OperationID: action, Method: http.MethodGet, Path: "/v1/ws",
		Tags: []string{"WebSocket"}, Summary: "Watch over a WebSocket",
		Description: "The first message must be {\"type\":\"auth\",\"token\":\"…\"}, within 5 seconds. Then subscribe with " +
			"{\"type\":\"subscribe\",\"channel\":\"…\",\"after\":17} to the channels agent.{id}.events, task.{id}.events, " +
			"tasks and system. See docs/websocket.md.",
		Security: []map[string][]string{}, Responses: responses,
	})
}
