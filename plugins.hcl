# plugins.hcl: which plugins this server runs, and how.
#
# Each `plugin` block below is one process that the server starts, watches and
# starts again when it dies. Change the file, and the server reads it anew (so it
# does on POST /v1/plugins/reload or a SIGHUP, which see new binaries, too): the
# plugins that have changed are swapped without a request being cut. What is wrong in the file is named with
# its line; the old set then serves on, and a server that starts does not start:
#
#   plugins.hcl:62,5-12: Unknown name "bas_url"; … (did you mean base_url?)
#
# A block's two names are its kind and its label. The kinds:
#
#   agent   a type of agent; its label is the `type` of an agent in the API
#   llm     a provider of language models
#   files   a place to keep files
#   mcp     a way to reach MCP servers
#
# What a block takes besides config { … }, and what holds without the line:
#
#   command    the program: a file beside the server's binary, or in one of
#              plugin_dirs. Never a path, and never looked for on PATH.
#   args       arguments for it: ["-v"]. None.
#   enabled    false, and there is no process and nothing else of the block is
#              looked at. True.
#   models     llm only: which model names this provider serves (see below).
#   max_concurrency
#              llm only: how many completions may be under way at once; more wait
#              for their turn. No limit.
#   retries    llm only: how often a completion that failed is asked again, when
#              that may help and nothing of it has arrived; the waits begin with
#              half a second and double. 2.
#   pass_env   names of variables of the server's environment that the process
#              gets. It always gets PATH, HOME, TMPDIR, LANG, TZ, SSL_CERT_FILE,
#              SSL_CERT_DIR and the proxy variables, and nothing else.
#   env        more variables for it: { NAME = "value" }.
#   sha256     the program's checksum, as sha256sum prints it. Another file of
#              that name is then not run. No check. `agentarea plugins lock`
#              writes these lines.
#   auto_mtls  whether server and plugin speak TLS with keys made at each start.
#              True; false spares 30 microseconds a call.
#
# Two functions can stand wherever a value can:
#
#   env("NAME")    a variable of the server's environment, or "" when it is not
#                  set. Keep keys out of this file with it.
#   file("path")   a file's text (1 MiB at most) without its last newline; the
#                  path is relative to this file's folder.
#
# A plugin is a program that runs as the server's user. It is not a sandbox:
# run those that you trust.

# More folders with plugins, relative to this file's.
# plugin_dirs = ["plugins"]

# Run no plugin that is not pinned by its sha256.
# require_checksums = true

# The label of the `files` block that takes new files. Files that are there
# already stay readable where they are as long as their block stays here:
# `agentarea files move --from local --to s3` moves them while the server runs.
file_backend = "local"

# ---- Providers of models ---------------------------------------------------
#
# An agent's `model` finds its provider so: "label/model" is that provider's;
# else the first block whose `models` patterns match (* is anything, ? is one
# character); else the first provider that lists the model. GET /v1/models shows
# what there is.

# OpenAI, as soon as the server is started with OPENAI_API_KEY.
plugin "llm" "openai" {
  command = "llm-openai"
  enabled = env("OPENAI_API_KEY") != ""
  models  = ["gpt-*", "chatgpt-*", "o1*", "o3*", "o4*"]
  config {
    base_url = "https://api.openai.com/v1"
    api_key  = env("OPENAI_API_KEY")
    # organization   = "org-…"
    # project        = "proj_…"
    # headers        = { X-Team = "research" }
    # timeout        = "60s"   # until the first byte of a streamed answer
    # answer_timeout = "5m"    # until an answer that is not streamed
  }
}

# Any server that speaks OpenAI's API: llama.cpp, vLLM, LM Studio, a gateway.
# Without `models` lines it serves whatever it lists.
#
# plugin "llm" "vllm" {
#   command = "llm-openai"
#   config {
#     base_url = "http://localhost:8080/v1"
#   }
# }

# Anthropic, as soon as the server is started with ANTHROPIC_API_KEY.
plugin "llm" "anthropic" {
  command = "llm-anthropic"
  enabled = env("ANTHROPIC_API_KEY") != ""
  models  = ["claude-*"]
  config {
    api_key = env("ANTHROPIC_API_KEY")
    # base_url   = "https://api.anthropic.com"
    # max_tokens = 4096    # the longest answer, unless the agent says
    # timeout    = "60s"   # until the first of an answer
  }
}

# Google's Gemini, as soon as the server is started with GEMINI_API_KEY.
plugin "llm" "gemini" {
  command = "llm-gemini"
  enabled = env("GEMINI_API_KEY") != ""
  models  = ["gemini-*", "gemma-*"]
  config {
    api_key = env("GEMINI_API_KEY")
    # base_url = "https://generativelanguage.googleapis.com"
    # timeout  = "60s"
  }
}

# Ollama, as soon as the server is started with OLLAMA_BASE_URL, which is
# http://localhost:11434 for one on this machine.
plugin "llm" "ollama" {
  command = "llm-ollama"
  enabled = env("OLLAMA_BASE_URL") != ""
  config {
    base_url = env("OLLAMA_BASE_URL")
    # keep_alive = "10m"   # how long a model stays loaded; Ollama's default
    # num_ctx    = 8192    # the context window to load one with; Ollama's default
    # timeout    = "5m"    # until the first of an answer; a model may have to be loaded
  }
}

# A provider without a key or a network, for a first try and for tests: it says
# what it is told.
plugin "llm" "echo" {
  command = "llm-echo"
  models  = ["echo"]
}

# A provider of your own, pinned, with a key from a file and a region from the
# server's environment.
#
# plugin "llm" "mine" {
#   command  = "llm-mine"
#   sha256   = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#   models   = ["mine-*"]
#   pass_env = ["AWS_REGION"]
#   env      = { LEVEL = "debug" }
#   config {
#     api_key = file("keys/mine")
#   }
# }

# ---- Types of agents -------------------------------------------------------

# A conversation with a model, which may use tools.
plugin "agent" "chat" {
  command = "agent-chat"
}

# ---- Places to keep files --------------------------------------------------

# A folder, whose files are whole and on the disk, or not there.
plugin "files" "local" {
  command = "files-local"
  config {
    # path = "files"   # relative to data/plugins/files-local of the data folder
  }
}

# A bucket of Amazon S3, or of any server that speaks its API: MinIO, Ceph, R2.
#
# plugin "files" "s3" {
#   command = "files-s3"
#   config {
#     endpoint   = "https://s3.eu-central-1.amazonaws.com"
#     region     = "eu-central-1"
#     bucket     = "agentarea"
#     access_key = env("AWS_ACCESS_KEY_ID")
#     secret_key = env("AWS_SECRET_ACCESS_KEY")
#     # prefix             = "agentarea"   # a folder in a bucket that others use too
#     # create_bucket      = true          # makes the bucket if it is not there
#     # presigned_downloads = true         # downloads go to the S3 server by a redirect
#     # public_endpoint    = "https://…"   # how clients reach it, if it is another way
#     # part_size          = "5MiB"        # of an upload's parts: 10000 at the most
#     # timeout            = "30s"         # how long a request may make no progress
#   }
# }

# ---- Ways to reach MCP servers ---------------------------------------------

# Programs on this machine, which only admins may add. Each runs as the server's
# user, with a small environment, under the limits below; what it starts ends with
# it. It is no sandbox: it can read what this user can.
plugin "mcp" "stdio" {
  command = "mcp-stdio"
  config {
    # max_memory     = "2GiB"   # of a server with all that it starts; "0" is no limit
    # max_processes  = 128
    # max_open_files = 4096     # of each process
    # grace          = "2s"     # until a server that is stopped is made to end
    # namespace      = true     # a PID namespace each, where the machine allows it
  }
}

# Servers at a URL. Anybody may add one, so they are looked for on the Internet
# only: what is inside your own network is refused at the dial, whatever name or
# redirect led there, unless it is in `allow`. Link-local addresses and those of a
# cloud's metadata are refused in any case.
plugin "mcp" "http" {
  command = "mcp-http"
  config {
    # allow           = ["localhost", "mcp.corp.example", "10.20.0.0/16"]
    # ca_file         = "/etc/ssl/corp.pem"   # trusted beside the system's
    # proxy_from_env  = true    # HTTPS_PROXY and NO_PROXY; the proxy then decides where names lead
    # connect_timeout = "10s"
    # answer_timeout  = "10m"   # until an answer begins; streams may last
  }
}

# The same for older servers, which speak the HTTP with SSE of MCP 2024-11-05.
plugin "mcp" "sse" {
  command = "mcp-sse"
  config {
    # as for http
  }
}
