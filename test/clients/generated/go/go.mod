module github.com/agentarea/agentarea/test/clients/generated/go

go 1.26.0
