package accounts

import (
	"context"
	"net/http"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
)

type apiKeyRequest struct {
	Name      string         `json:"name" minLength:"1" maxLength:"100" doc:"What the key is for. Unique among your keys"`
	Scopes    []core.Scope   `json:"scopes" minItems:"1" maxItems:"20" doc:"What the key may access: * for everything that you may access, or agents, chat, tasks, files, mcp or admin with :read or :write. A :write scope includes :read"`
	ExpiresAt *api.TimeInput `json:"expires_at,omitempty" doc:"When the key expires: a time, or a date, which means the start of that day in UTC. By default the key does not expire, or it expires with the API key that creates it"`
}

type apiKey struct {
	ID         string       `json:"id"`
	Name       string       `json:"name"`
	UserID     string       `json:"user_id"`
	ParentID   string       `json:"parent_id,omitempty" doc:"The API key that created this key. This key is deleted with it"`
	Scopes     []core.Scope `json:"scopes"`
	CreatedAt  api.Time     `json:"created_at"`
	ExpiresAt  *api.Time    `json:"expires_at,omitempty" doc:"Omitted for a key that does not expire"`
	LastUsedAt *api.Time    `json:"last_used_at,omitempty" doc:"Accurate to one minute. Omitted for a key that was never used"`
}

type newAPIKey struct {
	KeyInfo
	Key string `json:"key" doc:"The key itself, for the header Authorization: Bearer. It is not shown again"`
}

// KeyInfo is apiKey under an exported name, because Huma ignores embedded structs that are not
// exported.
type KeyInfo = apiKey

type apiKeyList struct {
	APIKeys []apiKey `json:"api_keys"`
	api.Paged
}

type (
	apiKeyCreate struct{ Body apiKeyRequest }
	apiKeyInput  struct {
		ID string `path:"key_id"`
	}
	apiKeysInput struct {
		UserID string `query:"user_id" doc:"Filter by user. Only an admin can select other users"`
		api.Page
	}
	apiKeyOutput struct{ Body apiKey }
	apiKeysReply struct{ Body apiKeyList }
	apiKeyMade   struct {
		Location string `header:"Location" doc:"The path of the key"`
		Body     newAPIKey
	}
)

var exampleAPIKey = apiKey{
	ID: "key-123", Name: "ci", UserID: "user-123", Scopes: []core.Scope{"agents:read", "chat:write"},
	CreatedAt: api.ExampleTime, ExpiresAt: &api.ExampleTime, LastUsedAt: &api.ExampleTime,
}

func registerAPIKeys(a *api.API, manager KeyManager, keys Keys) {
	api.RegisterRepeatable(a, api.Operation{
		ID: "create-api-key", Method: http.MethodPost, Path: "/v1/api-keys/",
		Tag: "API keys", Summary: "Create an API key", Access: api.SignedIn,
		Description: "The key is accepted wherever an access token is, within its scopes, until it expires or is deleted, " +
			"or your account is disabled. The server stores only its hash and does not show it again. A key that you create " +
			"with an API key has at most the scopes of that key, expires with it at the latest, and is deleted with it.",
		Status:   http.StatusCreated,
		Request:  apiKeyRequest{Name: exampleAPIKey.Name, Scopes: exampleAPIKey.Scopes},
		Response: newAPIKey{KeyInfo: exampleAPIKey, Key: "aak_123_3f6k…"}, Errors: []core.Code{core.CodeConflict},
	}, func(ctx context.Context, in *apiKeyCreate) (*apiKeyMade, error) {
		k := &core.APIKey{UserID: api.Actor(ctx).UserID, Name: in.Body.Name, Scopes: in.Body.Scopes}
		if in.Body.ExpiresAt != nil {
			at, _, err := in.Body.ExpiresAt.Parse("expires_at")
			if err != nil {
				return nil, err
			}
			if at.IsZero() { // it would mean that the key does not expire
				return nil, core.Invalid("expires_at", "Must be a time in the future. Omit it for a key that does not expire")
			}
			k.ExpiresAt = at
		}
		key, err := manager.CreateAPIKey(ctx, api.Audit(ctx), api.RequestFrom(ctx).Principal.Key, k)
		if err != nil {
			return nil, err
		}
		return &apiKeyMade{Location: "/v1/api-keys/" + k.ID, Body: newAPIKey{KeyInfo: newAPIKeyBody(k), Key: key}}, nil
	}, func(_ context.Context, _ *apiKeyCreate, id string) (*apiKeyMade, error) {
		return nil, core.Conflict("An earlier request with this Idempotency-Key has created API key %q, which the server does "+
			"not show again. If you do not have it, call DELETE /v1/api-keys/%s and create another one with a new "+
			"Idempotency-Key", id, id)
	})
	api.Register(a, api.Operation{
		ID: "list-api-keys", Method: http.MethodGet, Path: "/v1/api-keys/",
		Tag: "API keys", Summary: "List the API keys", Access: api.SignedIn,
		Description: "Your keys, newest first. An admin can list another user's keys with user_id, and those of all users " +
			"with user_id=*.",
		Response: apiKeyList{APIKeys: []apiKey{exampleAPIKey}, Paged: api.Paged{Total: 1, Limit: 20}},
		Errors:   []core.Code{core.CodeValidation},
	}, func(ctx context.Context, in *apiKeysInput) (*apiKeysReply, error) { return listAPIKeys(ctx, keys, in) })
	api.Register(a, api.Operation{
		ID: "get-api-key", Method: http.MethodGet, Path: "/v1/api-keys/{key_id}",
		Tag: "API keys", Summary: "Get an API key", Access: api.SignedIn,
		Description: "The reply does not contain the key itself.", Response: exampleAPIKey,
	}, func(ctx context.Context, in *apiKeyInput) (*apiKeyOutput, error) {
		k, err := keys.APIKey(ctx, api.Actor(ctx), in.ID)
		if err != nil {
			return nil, err
		}
		return &apiKeyOutput{Body: newAPIKeyBody(k)}, nil
	})
	api.Register(a, api.Operation{
		ID: "delete-api-key", Method: http.MethodDelete, Path: "/v1/api-keys/{key_id}",
		Tag: "API keys", Summary: "Delete an API key", Access: api.SignedIn,
		Description: "The key, and all keys that were created with it, stop working on every server within one second. " +
			"Their WebSockets and streams end within five.", Status: http.StatusNoContent,
	}, func(ctx context.Context, in *apiKeyInput) (*struct{}, error) {
		return nil, manager.DeleteAPIKey(ctx, api.Audit(ctx), api.Actor(ctx), in.ID)
	})
}

func listAPIKeys(ctx context.Context, keys Keys, in *apiKeysInput) (*apiKeysReply, error) {
	v := api.Actor(ctx)
	userID := in.UserID
	switch {
	case userID == "":
		userID = v.UserID
	case userID == "*" && v.Admin():
		userID = ""
	}
	found, paged, err := api.ReadPage(ctx, in.Limit, in.Paging, func(p core.Page) ([]*core.APIKey, int, error) {
		return keys.APIKeys(ctx, v, userID, p)
	}, func(k *core.APIKey) core.PageKey { return api.Newest(k.CreatedAt, k.ID) })
	if err != nil {
		return nil, err
	}
	out := &apiKeysReply{Body: apiKeyList{APIKeys: make([]apiKey, 0, len(found)), Paged: paged}}
	for _, k := range found {
		out.Body.APIKeys = append(out.Body.APIKeys, newAPIKeyBody(k))
	}
	return out, nil
}

func newAPIKeyBody(k *core.APIKey) apiKey {
	return apiKey{
		ID: k.ID, Name: k.Name, UserID: k.UserID, ParentID: k.ParentID, Scopes: k.Scopes, CreatedAt: api.Time(k.CreatedAt),
		ExpiresAt: api.OptionalTime(k.ExpiresAt), LastUsedAt: api.OptionalTime(k.LastUsedAt),
	}
}
