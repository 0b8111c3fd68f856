# A plugins.hcl for several servers, which share their files in S3. compose.yaml uses it
# and sets the S3_* variables. See the shipped plugins.hcl for all other settings.

file_backend = "s3"

plugin "files" "s3" {
  command = "files-s3"
  config {
    endpoint   = env("S3_ENDPOINT")
    region     = "us-east-1"
    bucket     = env("S3_BUCKET")
    access_key = env("S3_ACCESS_KEY")
    secret_key = env("S3_SECRET_KEY")
  }
}

plugin "llm" "openai" {
  command = "llm-openai"
  enabled = env("OPENAI_API_KEY") != ""
  models  = ["gpt-*", "chatgpt-*", "o1*", "o3*", "o4*"]
  config {
    api_key = env("OPENAI_API_KEY")
  }
}

plugin "llm" "anthropic" {
  command = "llm-anthropic"
  enabled = env("ANTHROPIC_API_KEY") != ""
  models  = ["claude-*"]
  config {
    api_key = env("ANTHROPIC_API_KEY")
  }
}

plugin "llm" "gemini" {
  command = "llm-gemini"
  enabled = env("GEMINI_API_KEY") != ""
  models  = ["gemini-*", "gemma-*"]
  config {
    api_key = env("GEMINI_API_KEY")
  }
}

plugin "llm" "ollama" {
  command = "llm-ollama"
  enabled = env("OLLAMA_BASE_URL") != ""
  config {
    base_url = env("OLLAMA_BASE_URL")
  }
}

plugin "llm" "echo" {
  command = "llm-echo"
  models  = ["echo"]
}

plugin "agent" "chat" {
  command = "agent-chat"
}

plugin "mcp" "http" {
  command = "mcp-http"
}

plugin "mcp" "sse" {
  command = "mcp-sse"
}

# The programs run in the container of each replica, so its image must contain them
# (docs/operations.md).
plugin "mcp" "stdio" {
  command = "mcp-stdio"
}
