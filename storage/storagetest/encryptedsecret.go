package storagetest

import (
	"slices"
	"testing"

	"github.com/agentarea/agentarea/core"
)

// testEncryptedSecrets checks that secrets are listed in pages, and that a secret is replaced only if it
// has not changed since it was read.
func testEncryptedSecrets(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleAdmin)
	var ids []string
	for i := range 5 {
		s := f.server(t, v, func(s *core.MCPServer) { s.Secrets = []byte{2, 0, byte(i)} })
		ids = append(ids, s.ID)
	}
	f.server(t, v) // without secrets
	slices.Sort(ids)
	var found []core.EncryptedSecret
	for after := ""; ; {
		page, err := f.EncryptedSecrets(f.ctx, after, 2)
		ok(t, err)
		if len(page) == 0 {
			break
		}
		found = append(found, page...)
		after = page[len(page)-1].ID
	}
	got := []string{}
	for _, s := range found {
		got = append(got, s.ID)
	}
	same(t, "ids", got, ids)

	before, err := f.MCPServer(f.ctx, v, ids[0])
	ok(t, err)
	same(t, "Name", found[0].Name, `MCP server "`+before.Slug+`"`)
	same(t, "Bytes", found[0].Bytes, before.Secrets)
	replaced, err := f.ReplaceEncryptedSecret(f.ctx, found[0], []byte{3})
	ok(t, err)
	same(t, "replaced", replaced, true)
	after, err := f.MCPServer(f.ctx, v, ids[0])
	ok(t, err)
	want := *before
	want.Secrets = []byte{3}
	same(t, "MCPServer", after, &want)

	replaced, err = f.ReplaceEncryptedSecret(f.ctx, found[0], []byte{4}) // it has changed
	ok(t, err)
	same(t, "replaced again", replaced, false)
	ok(t, f.DeleteMCPServer(f.ctx, nil, v, ids[1], core.MCPServerDeletion{}))
	replaced, err = f.ReplaceEncryptedSecret(f.ctx, found[1], []byte{4})
	ok(t, err)
	same(t, "replaced in a deleted row", replaced, false)
}
