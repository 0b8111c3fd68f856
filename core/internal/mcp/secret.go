package mcp

import (
	"encoding/json"
	"fmt"

	"github.com/agentarea/agentarea/core"
)

// encryptSecrets encrypts the secrets of a server. It returns nil if there are none.
func (s *Servers) encryptSecrets(id string, secrets core.MCPSecrets) ([]byte, error) {
	if secrets.Empty() {
		return nil, nil
	}
	data, err := json.Marshal(secrets)
	if err == nil {
		data, err = s.Encrypter.Encrypt(id, data)
	}
	if err != nil {
		return nil, fmt.Errorf("encrypt the secrets of MCP server %s: %w", id, err)
	}
	return data, nil
}

// decryptSecrets returns the secrets of a stored server.
func (s *Servers) decryptSecrets(stored *core.MCPServer) (core.MCPSecrets, error) {
	var out core.MCPSecrets
	if len(stored.Secrets) == 0 {
		return out, nil
	}
	data, err := s.Encrypter.Decrypt(stored.ID, stored.Secrets)
	if err == nil {
		err = json.Unmarshal(data, &out)
	}
	if err != nil {
		return core.MCPSecrets{}, fmt.Errorf("decrypt the secrets of MCP server %s: %w", stored.ID, err)
	}
	return out, nil
}
