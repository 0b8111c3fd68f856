package api

import (
	"context"
	"net/http"
	"time"

	"github.com/agentarea/agentarea/core"
)

type apiKeyRequest struct {
	Name      string       `json:"name" minLength:"1" maxLength:"100" doc:"What it is for; each of a user's keys has another"`
	Scopes    []core.Scope `json:"scopes" minItems:"1" maxItems:"20" doc:"What it is good for: * is all that you may do; else agents, chat, tasks, files, mcp or admin with :read or :write, which may read too"`
	ExpiresAt *time.Time   `json:"expires_at,omitempty" doc:"When it is of no use any more; never unless set"`
}

type apiKey struct {
	ID         string       `json:"id"`
	Name       string       `json:"name"`
	UserID     string       `json:"user_id"`
	Scopes     []core.Scope `json:"scopes"`
	CreatedAt  stamp        `json:"created_at"`
	ExpiresAt  *stamp       `json:"expires_at,omitempty" doc:"Left out for a key that does not expire"`
	LastUsedAt *stamp       `json:"last_used_at,omitempty" doc:"Up to a minute behind; left out for a key that was never used"`
}

type newAPIKey struct {
	KeyShown
	Key string `json:"key" doc:"The key itself, to be sent as Authorization: Bearer. It is shown this once"`
}

// KeyShown is apiKey by an exported name, for Huma sees no other embedded.
type KeyShown = apiKey

type apiKeyList struct {
	APIKeys []apiKey `json:"api_keys"`
	Paged
}

type (
	apiKeyCreate struct{ Body apiKeyRequest }
	apiKeyInput  struct {
		ID string `path:"key_id"`
	}
	apiKeysInput struct {
		UserID string `query:"user_id" doc:"Filter by user; others than you are for admins"`
		Page
	}
	apiKeyOutput struct{ Body apiKey }
	apiKeysReply struct{ Body apiKeyList }
	apiKeyMade   struct {
		Location string `header:"Location" doc:"Where the key is described"`
		Body     newAPIKey
	}
)

var exampleAPIKey = apiKey{
	ID: "key-123", Name: "ci", UserID: "user-123", Scopes: []core.Scope{"agents:read", "chat:write"},
	CreatedAt: exampleTime, ExpiresAt: &exampleTime, LastUsedAt: &exampleTime,
}

func (a *api) registerAPIKeys() {
	register(a, operation{
		id: "create-api-key", method: http.MethodPost, path: "/v1/api-keys/", tag: "API keys", summary: "Create an API key", access: signedIn,
		about: "It stands for you wherever an access token does, within its scopes, until it expires or is deleted, or your account is disabled. " +
			"Only its hash is stored, so it is shown this once.",
		status:   http.StatusCreated,
		request:  apiKeyRequest{Name: exampleAPIKey.Name, Scopes: exampleAPIKey.Scopes},
		response: newAPIKey{KeyShown: exampleAPIKey, Key: "aak_123_3f6k…"}, errors: []core.Code{core.CodeConflict},
	}, a.createAPIKey)
	register(a, operation{
		id: "list-api-keys", method: http.MethodGet, path: "/v1/api-keys/", tag: "API keys", summary: "List the API keys", access: signedIn,
		about:    "Yours, newest first; an admin may ask for another user's by user_id, or, with user_id=*, for everybody's.",
		response: apiKeyList{APIKeys: []apiKey{exampleAPIKey}, Paged: Paged{Total: 1, Limit: 20}}, errors: []core.Code{core.CodeValidation},
	}, a.listAPIKeys)
	register(a, operation{
		id: "get-api-key", method: http.MethodGet, path: "/v1/api-keys/{key_id}", tag: "API keys", summary: "Get an API key", access: signedIn,
		about: "What is known of it; the key itself is not to be had again.", response: exampleAPIKey,
	}, func(ctx context.Context, in *apiKeyInput) (*apiKeyOutput, error) {
		k, err := a.keys.APIKey(ctx, actor(ctx), in.ID)
		if err != nil {
			return nil, err
		}
		return &apiKeyOutput{Body: apiKeyBody(k)}, nil
	})
	register(a, operation{
		id: "delete-api-key", method: http.MethodDelete, path: "/v1/api-keys/{key_id}", tag: "API keys", summary: "Delete an API key", access: signedIn,
		about: "It is of no use from then on, within a second on every replica; its WebSockets and streams end within five.", status: http.StatusNoContent,
	}, func(ctx context.Context, in *apiKeyInput) (*struct{}, error) {
		return nil, a.auth.DeleteAPIKey(ctx, actor(ctx), in.ID)
	})
}

func (a *api) createAPIKey(ctx context.Context, in *apiKeyCreate) (*apiKeyMade, error) {
	k := &core.APIKey{UserID: actor(ctx).UserID, Name: in.Body.Name, Scopes: in.Body.Scopes}
	if in.Body.ExpiresAt != nil {
		k.ExpiresAt = *in.Body.ExpiresAt
	}
	key, err := a.auth.CreateAPIKey(ctx, k)
	if err != nil {
		return nil, err
	}
	return &apiKeyMade{Location: "/v1/api-keys/" + k.ID, Body: newAPIKey{KeyShown: apiKeyBody(k), Key: key}}, nil
}

func (a *api) listAPIKeys(ctx context.Context, in *apiKeysInput) (*apiKeysReply, error) {
	v := actor(ctx)
	whose := in.UserID
	switch {
	case whose == "":
		whose = v.UserID
	case whose == "*" && v.Admin():
		whose = ""
	}
	found, total, err := a.keys.APIKeys(ctx, v, whose, in.core())
	if err != nil {
		return nil, err
	}
	out := &apiKeysReply{Body: apiKeyList{APIKeys: make([]apiKey, 0, len(found)), Paged: in.reply(total)}}
	for _, k := range found {
		out.Body.APIKeys = append(out.Body.APIKeys, apiKeyBody(k))
	}
	return out, nil
}

func apiKeyBody(k *core.APIKey) apiKey {
	return apiKey{
		ID: k.ID, Name: k.Name, UserID: k.UserID, Scopes: k.Scopes, CreatedAt: stamp(k.CreatedAt),
		ExpiresAt: stampOrNil(k.ExpiresAt), LastUsedAt: stampOrNil(k.LastUsedAt),
	}
}
