plugin "llm" "openai" {
  command = "llm-openai"
  enabled = env("OPENAI_API_KEY") != ""
  models  = ["gpt-*", "o*"]
  config {
    base_url = "https://api.openai.com/v1"
    api_key  = env("OPENAI_API_KEY")
  }
}

plugin "llm" "echo" {
  command = "llm-echo"
}

plugin "agent" "chat" {
  command = "agent-chat"
}
