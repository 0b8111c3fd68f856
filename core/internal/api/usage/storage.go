package usage

import (
	"cmp"
	"context"
	"net/http"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
)

// StorageStore measures what users store.
type StorageStore interface {
	// StorageUsage returns what the user stores. It fails with Forbidden or NotFound.
	StorageUsage(ctx context.Context, actor core.Actor, userID string) (core.StorageUsage, error)
}

// Limits are the limits of what each user stores, in bytes. Zero means no limit.
type Limits struct{ Database, Files int64 }

type storedBytes struct {
	Used  int64 `json:"used_bytes"`
	Limit int64 `json:"limit_bytes" doc:"0 means no limit"`
}

type storageUsage struct {
	Database storedBytes `json:"database" doc:"Agents, MCP servers, sessions with their messages and runs, tasks, notifications, and the names and metadata of files"`
	Files    storedBytes `json:"files" doc:"The contents of files"`
}

type (
	storageInput struct {
		UserID string `query:"user_id" doc:"The user. The default is you; only an admin may name another user"`
	}
	storageOutput struct{ Body storageUsage }
)

func registerStorage(a *api.API, store StorageStore, limits Limits) {
	api.Register(a, api.Operation{
		ID: "get-storage-usage", Method: http.MethodGet, Path: "/v1/usage/storage", Tag: "Plugins", Access: api.SignedIn,
		Summary: "Measure the storage used",
		Description: "The bytes that you use in the database and in file storage, with the limits per user. " +
			"Beyond a limit, requests that would store more fail with 413. Objects can always be deleted.",
		Response: storageUsage{
			Database: storedBytes{Used: 48213, Limit: 1 << 30}, Files: storedBytes{Used: 1048576, Limit: 10 << 30},
		},
		Errors: []core.Code{core.CodeNotFound},
	}, func(ctx context.Context, in *storageInput) (*storageOutput, error) {
		actor := api.Actor(ctx)
		used, err := store.StorageUsage(ctx, actor, cmp.Or(in.UserID, actor.UserID))
		if err != nil {
			return nil, err
		}
		return &storageOutput{Body: storageUsage{
			Database: storedBytes{used.Database, limits.Database}, Files: storedBytes{used.Files, limits.Files},
		}}, nil
	})
}
