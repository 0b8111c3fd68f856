# plugins.hcl selects and configures the plugins of this server.
#
# Each `plugin` block below is one process, which the server starts, monitors and
# restarts after a crash. The server reloads this file when it changes, after
# POST /v1/plugins/reload, and on SIGHUP; the last two also pick up new binaries.
# Changed plugins are replaced without interrupting requests. If the file has an
# error, the server reports its position and keeps the previous plugins; a server
# that is just starting exits:
#
#   plugins.hcl:62,5-12: Unknown name "bas_url"; … (did you mean base_url?)
#
# A reload also fails if a new plugin cannot work as configured, for example because
# the provider refuses its key or the bucket does not exist. A server that starts with
# such a plugin runs, but is degraded. `agentarea plugins check` reports both kinds of
# errors before a reload or a start.
#
# A reload does not remove or disable a block that agents, tasks, files or MCP servers
# still need, unless you confirm it: `agentarea plugins reload --force`.
#
# The first label of a block is the plugin's kind, the second one is its label:
#
#   agent   an agent type; the label is the `type` of an agent in the API
#   llm     an LLM provider
#   files   a file backend
#   mcp     an MCP transport
#
# Attributes of a block, in addition to config { … }:
#
#   command    The program: a file beside the server's binary, or in one of
#              plugin_dirs. It must not be a path and is not searched on PATH.
#   args       Arguments of the program, such as ["-v"]. Default: none.
#   enabled    Whether to run the plugin. The rest of a disabled block is not
#              checked. Default: true.
#   models     llm only: the model names that this provider serves (see below).
#   max_concurrency
#              llm only: maximum number of concurrent completions. Further
#              requests wait. Default: no limit.
#   retries    llm only: how many times a failed completion is retried, if a
#              retry may help and no part of the answer has arrived. The first
#              delay is half a second, and it doubles each time. Default: 2.
#   max_memory Maximum memory of the process and its children, such as "512MB".
#              Beyond it the process is killed and started again. Linux only.
#              Default: no limit.
#   log_level  The lowest level of the plugin's lines in the server's log: debug,
#              info, warn or error. Default: the server's level.
#   pass_env   Names of environment variables of the server that the process
#              receives. It always receives PATH, HOME, TMPDIR, LANG, TZ,
#              SSL_CERT_FILE, SSL_CERT_DIR and the proxy variables, and no others.
#   env        Additional environment variables: { NAME = "value" }.
#   sha256     The program's checksum, as printed by sha256sum. The server does
#              not run a file with another checksum. `agentarea plugins lock`
#              writes these lines. Default: no check.
#   auto_mtls  Whether the server and the plugin use TLS, with keys generated at
#              each start. false saves 30 microseconds per call. Default: true.
#
# Two functions can be used in any value:
#
#   env("NAME")    An environment variable of the server, or "" if it is not set.
#                  Use it to keep keys out of this file.
#   file("path")   The content of a file (at most 1 MiB) without its last newline.
#                  The path is relative to the folder of this file.
#
# A plugin runs with the permissions of the server's user, without a sandbox. Run
# only plugins that you trust.

# More folders with plugins, relative to the folder of this file.
# plugin_dirs = ["plugins"]

# Only run plugins that have a sha256 attribute.
# require_checksums = true

# The label of the `files` block that stores new files. Existing files remain
# readable in their backend as long as its block is in this file.
# `agentarea files move --from local --to s3` moves them while the server runs.
file_backend = "local"

# ---- LLM providers ---------------------------------------------------------
#
# The server finds the provider of an agent's `model` as follows: "label/model"
# selects the provider with that label. Otherwise it is the first block with a
# matching pattern in `models` (* matches any text, ? one character), or else the
# first provider that lists the model. GET /v1/models lists the available models.

# OpenAI. To enable it, start the server with OPENAI_API_KEY.
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
    # timeout        = "60s"   # for the first byte of a streamed answer
    # answer_timeout = "5m"    # for an answer that is not streamed
    # stall_timeout  = "5m"    # how long the server may send nothing in the middle of an answer
    # stream_options = true    # false for a server that rejects stream_options
  }
}

# Any server with an OpenAI-compatible API: llama.cpp, vLLM, LM Studio, a gateway.
# Without `models`, the provider serves all models that the server lists.
#
# plugin "llm" "vllm" {
#   command = "llm-openai"
#   config {
#     base_url = "http://localhost:8080/v1"
#   }
# }

# Anthropic. To enable it, start the server with ANTHROPIC_API_KEY.
plugin "llm" "anthropic" {
  command = "llm-anthropic"
  enabled = env("ANTHROPIC_API_KEY") != ""
  models  = ["claude-*"]
  config {
    api_key = env("ANTHROPIC_API_KEY")
    # base_url   = "https://api.anthropic.com"
    # max_tokens = 4096    # limit of an answer, for agents without max_tokens
    # timeout    = "60s"   # for the first event of an answer
    # stall_timeout = "5m"
  }
}

# Google Gemini. To enable it, start the server with GEMINI_API_KEY.
plugin "llm" "gemini" {
  command = "llm-gemini"
  enabled = env("GEMINI_API_KEY") != ""
  models  = ["gemini-*", "gemma-*"]
  config {
    api_key = env("GEMINI_API_KEY")
    # base_url = "https://generativelanguage.googleapis.com"
    # timeout  = "60s"
    # stall_timeout = "5m"
  }
}

# Ollama. To enable it, start the server with OLLAMA_BASE_URL, such as
# http://localhost:11434 for Ollama on this machine.
plugin "llm" "ollama" {
  command = "llm-ollama"
  enabled = env("OLLAMA_BASE_URL") != ""
  config {
    base_url = env("OLLAMA_BASE_URL")
    # keep_alive = "10m"   # how long a model stays loaded; default: Ollama's
    # num_ctx    = 8192    # context window of a model in tokens; default: Ollama's
    # timeout    = "5m"    # for the first line of an answer, including loading the model
    # stall_timeout = "5m"
  }
}

# A provider for first steps and tests, without a key and without network access.
# It repeats the user's message.
plugin "llm" "echo" {
  command = "llm-echo"
  models  = ["echo"]
}

# A provider of your own: with a checksum, a key from a file, and a region from the
# environment of the server.
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

# ---- Agent types -----------------------------------------------------------

# A conversation with a model that may call tools.
plugin "agent" "chat" {
  command = "agent-chat"
}

# ---- File backends ---------------------------------------------------------

# A local folder. A file appears in it only when all of it is on the disk.
plugin "files" "local" {
  command = "files-local"
  config {
    # path = "files"   # relative to plugins/files-local in the server's data folder
  }
}

# A bucket of Amazon S3 or of any S3-compatible server, such as MinIO, Ceph or R2.
#
# plugin "files" "s3" {
#   command = "files-s3"
#   config {
#     endpoint   = "https://s3.eu-central-1.amazonaws.com"
#     region     = "eu-central-1"
#     bucket     = "agentarea"
#     access_key = env("AWS_ACCESS_KEY_ID")
#     secret_key = env("AWS_SECRET_ACCESS_KEY")
#     # prefix             = "agentarea"   # folder in a shared bucket
#     # create_bucket      = true          # create the bucket if it does not exist
#     # presigned_downloads = true         # redirect downloads to the S3 server
#     # public_endpoint    = "https://…"   # endpoint for clients, if it differs
#     # part_size          = "5MiB"        # of multipart uploads; a file has at most 10000 parts
#     # timeout            = "30s"         # how long a request may stall
#   }
# }

# ---- MCP transports --------------------------------------------------------

# MCP servers that are programs on this machine. Only administrators may add them.
# Each one runs as the server's user with a minimal environment and the limits
# below, and all processes that it starts end with it. This is not a sandbox: the
# program can read everything that the user can read.
plugin "mcp" "stdio" {
  command = "mcp-stdio"
  config {
    # max_memory     = "2GiB"   # of an MCP server and its processes; "0" for no limit
    # max_processes  = 128
    # max_open_files = 4096     # of each process
    # grace          = "2s"     # time to exit after the end of its input, before it is killed
    # namespace      = true     # run each one in its own PID namespace, if the system allows it
  }
}

# MCP servers at a URL. Every user may add them, so by default only addresses on
# the Internet are allowed. Connections to private addresses are refused when they
# are made, regardless of the host name or redirect, unless `allow` lists them.
# Link-local and cloud metadata addresses are always refused.
plugin "mcp" "http" {
  command = "mcp-http"
  config {
    # allow           = ["localhost", "mcp.corp.example", "10.20.0.0/16"]
    # ca_file         = "/etc/ssl/corp.pem"   # trusted in addition to the system's certificates
    # proxy_from_env  = true    # use HTTPS_PROXY and NO_PROXY; the proxy then resolves host names
    # connect_timeout = "10s"
    # answer_timeout  = "10m"   # until a response starts; streams may take longer
  }
}

# The same for older servers, which use HTTP with SSE of MCP 2024-11-05.
plugin "mcp" "sse" {
  command = "mcp-sse"
  config {
    # as for http
  }
}
