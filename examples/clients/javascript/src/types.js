// Types of the API. Generated from its OpenAPI document by go test ./test/clients -run TypesAreFresh -update. DO NOT EDIT.

export {};

/**
 * @typedef {object} Account
 * @property {string} email
 * @property {string} id
 * @property {"admin" | "member" | "viewer"} role
 * @property {string} username
 */

/**
 * @typedef {object} Agent
 * @property {Record<string, any>} config
 * @property {string} created_at
 * @property {string} created_by
 * @property {string} description
 * @property {string} id
 * @property {string} name
 * @property {boolean} shared
 * @property {"active" | "inactive" | "error"} status error while the type or the model's provider is down
 * @property {string} type
 * @property {string} updated_at
 */

/**
 * @typedef {object} AgentChange
 * @property {Record<string, any>} [config] Merged with the config: null takes a field away
 * @property {string} [description]
 * @property {string} [name]
 * @property {boolean} [shared]
 * @property {"active" | "inactive"} [status]
 * @property {string} [type]
 */

/**
 * @typedef {object} AgentList
 * @property {Agent[]} agents
 * @property {number} limit
 * @property {number} offset
 * @property {number} total How many there are in all
 */

/**
 * @typedef {object} AgentReplacement
 * @property {Record<string, any>} [config] Valid by the config_schema of the type
 * @property {string} [created_at]
 * @property {string} [created_by]
 * @property {string} [description]
 * @property {string} [id]
 * @property {string} name
 * @property {boolean} [shared] Others may use it, not change it
 * @property {"active" | "inactive" | "error"} [status] error, which the server shows while a part is down, leaves the status as it was set
 * @property {string} type One of GET /v1/agent-types
 * @property {string} [updated_at]
 */

/**
 * @typedef {object} AgentRequest
 * @property {Record<string, any>} [config] Valid by the config_schema of the type
 * @property {string} [description]
 * @property {string} name
 * @property {boolean} [shared] Others may use it, not change it
 * @property {"active" | "inactive"} [status] An inactive agent takes no messages
 * @property {string} type One of GET /v1/agent-types
 */

/**
 * @typedef {object} AgentType
 * @property {boolean} available false while its plugin is down
 * @property {Record<string, any>} config_schema The JSON Schema of an agent's config
 * @property {string} description
 * @property {string} type What an agent's type may be
 */

/**
 * @typedef {object} AgentTypes
 * @property {AgentType[]} agent_types
 */

/**
 * @typedef {object} ApiKey
 * @property {string} created_at
 * @property {string} [expires_at] Left out for a key that does not expire
 * @property {string} id
 * @property {string} [last_used_at] Up to a minute behind; left out for a key that was never used
 * @property {string} name
 * @property {string[]} scopes
 * @property {string} user_id
 */

/**
 * @typedef {object} ApiKeyList
 * @property {ApiKey[]} api_keys
 * @property {number} limit
 * @property {number} offset
 * @property {number} total How many there are in all
 */

/**
 * @typedef {object} ApiKeyRequest
 * @property {string} [expires_at] When it is of no use any more; never unless set
 * @property {string} name What it is for; each of a user's keys has another
 * @property {string[]} scopes What it is good for: * is all that you may do; else agents, chat, tasks, files, mcp or admin with :read or :write, which may read too
 */

/**
 * @typedef {object} AuditEntry
 * @property {string} action The operation, by its operationId in this document
 * @property {string} address Where the request came from
 * @property {string} at
 * @property {string} [credential] The sign-in or API key
 * @property {"done" | "refused"} outcome
 * @property {string} [reason] The error's code, when it was refused
 * @property {string} request_id Names the request in the server's log
 * @property {number} seq Rises with each row
 * @property {string} [target] The id of what it was done to, or several with slashes
 * @property {string} [user_id] Left out when nobody was signed in
 * @property {string} [username] Of a sign-in that was refused, the name that was given
 */

/**
 * @typedef {object} AuditList
 * @property {AuditEntry[]} entries
 * @property {number} limit
 * @property {number} offset
 * @property {number} total How many there are in all
 */

/**
 * @typedef {object} ChatReply
 * @property {MessageFile[]} [files] Files that came with the answer
 * @property {string} id
 * @property {string} message
 * @property {Record<string, any>} metadata model, tokens_used, run_id
 * @property {string} session_id
 * @property {string} timestamp
 */

/**
 * @typedef {object} ChatRequest
 * @property {string[]} [file_ids] Files that go with the message: ids that POST /v1/files/upload gave, each once
 * @property {string} message What you say to the agent
 * @property {string} [session_id] The conversation; one that is not there yet is begun by that name, and a new one without it
 * @property {boolean} [stream] Send the answer as server-sent events while it is made
 */

/**
 * @typedef {object} CheckResult
 * @property {string} [message] What is wrong
 * @property {string} name
 * @property {"ok" | "degraded"} status degraded: the server does its work, but not all of it
 */

/**
 * @typedef {object} Credentials
 * @property {string} password
 * @property {string} username
 */

/**
 * @typedef {object} Error
 * @property {Failure} error
 */

/**
 * @typedef {object} Failure
 * @property {string} code The kind of the error, for programs
 * @property {FailureDetails} details
 * @property {string} message What is wrong, for people
 * @property {string} request_id Names the request in the server's log; also the X-Request-ID header
 */

/**
 * @typedef {object} FailureDetails
 * @property {FieldError[]} [errors] All that is wrong, when it is more than one thing
 * @property {string} [field] The dotted path of the field, or the parameter, that is wrong
 * @property {string} [issue] What is wrong with it, and what to write instead
 */

/**
 * @typedef {object} FieldError
 * @property {string} field
 * @property {string} issue
 */

/**
 * @typedef {object} File
 * @property {string} content_type What the bytes look like; what the upload says of them does not count
 * @property {string} created_at
 * @property {string} created_by
 * @property {string} id
 * @property {Record<string, any>} metadata Your own words on the file
 * @property {string} name
 * @property {string} sha256 Of the bytes, in hex
 * @property {number} size In bytes
 * @property {string} updated_at When the name or the metadata last changed; the bytes never do
 */

/**
 * @typedef {object} FileChange
 * @property {Record<string, any>} [metadata] Merged with the metadata: null takes a field away. At most 64 KiB in all
 * @property {string} [name] At most 255 characters, without control characters; what stands before a slash or backslash is left out
 */

/**
 * @typedef {object} FileList
 * @property {File[]} files
 * @property {number} limit
 * @property {number} offset
 * @property {number} total How many there are in all
 */

/**
 * @typedef {object} Health
 * @property {"healthy"} status
 * @property {string} timestamp
 * @property {string} version The server's version
 */

/**
 * @typedef {object} History
 * @property {boolean} has_more There are older ones: ask for those before the first one's timestamp
 * @property {number} limit
 * @property {Message[]} messages
 */

/**
 * @typedef {object} MCPServer
 * @property {string[]} capabilities What it said that it has when it was last started
 * @property {Record<string, any>} config The values of env and headers are ***
 * @property {string} created_at
 * @property {string} created_by
 * @property {string} description
 * @property {string} id
 * @property {string} last_error Why it is in error, or why it last ended; empty for none
 * @property {string} name
 * @property {number} [pid] Of its process, for admins
 * @property {number} restarts
 * @property {string} sandbox What keeps its process from harm, and from being left behind; empty without a process
 * @property {boolean} shared
 * @property {string} slug
 * @property {string} [started_at] When it was ready; left out while it is not
 * @property {"stopped" | "starting" | "running" | "error" | "stopping"} status
 * @property {string} transport
 * @property {string} updated_at
 * @property {string} url Where MCP clients reach it, with an access token of the platform
 * @property {boolean} wanted It is to run, also after a crash and when the platform starts; start and stop set this
 */

/**
 * @typedef {object} McpAction
 * @property {string[]} capabilities What it said that it has when it was last started
 * @property {Record<string, any>} config The values of env and headers are ***
 * @property {string} created_at
 * @property {string} created_by
 * @property {string} description
 * @property {string} id
 * @property {string} last_error Why it is in error, or why it last ended; empty for none
 * @property {string} message What it was told, for people
 * @property {string} name
 * @property {number} [pid] Of its process, for admins
 * @property {number} restarts
 * @property {string} sandbox What keeps its process from harm, and from being left behind; empty without a process
 * @property {boolean} shared
 * @property {string} slug
 * @property {string} [started_at] When it was ready; left out while it is not
 * @property {"stopped" | "starting" | "running" | "error" | "stopping"} status
 * @property {string} transport
 * @property {string} updated_at
 * @property {string} url Where MCP clients reach it, with an access token of the platform
 * @property {boolean} wanted It is to run, also after a crash and when the platform starts; start and stop set this
 */

/**
 * @typedef {object} McpLog
 * @property {McpLogLine[]} logs
 */

/**
 * @typedef {object} McpLogLine
 * @property {number} seq Rises by one a line, from 1 at the platform's start; a gap is lines that came too fast
 * @property {"stderr" | "host"} source stderr for the server's own words, host for the platform's on it
 * @property {string} text
 * @property {string} timestamp
 */

/**
 * @typedef {object} McpServerChange
 * @property {Record<string, any>} [config] Merged with the config: null takes a field away
 * @property {string} [description]
 * @property {string} [name]
 * @property {boolean} [shared]
 * @property {string} [slug]
 * @property {string} [transport] Unless given, it follows a config that gets a command or a url instead
 */

/**
 * @typedef {object} McpServerList
 * @property {number} limit
 * @property {number} offset
 * @property {MCPServer[]} servers
 * @property {number} total How many there are in all
 */

/**
 * @typedef {object} McpServerReplacement
 * @property {string[]} [capabilities]
 * @property {Record<string, any>} config A value in env or headers that is *** stays what it is
 * @property {string} [created_at]
 * @property {string} [created_by]
 * @property {string} [description]
 * @property {string} [id]
 * @property {string} [last_error]
 * @property {string} name
 * @property {number} [pid]
 * @property {number} [restarts]
 * @property {string} [sandbox]
 * @property {boolean} [shared] Others may use it, not change it
 * @property {string} [slug] Stays as it is when left out
 * @property {string} [started_at]
 * @property {string} [status]
 * @property {string} [transport] When left out, stdio for a config with a command and http for one with a url
 * @property {string} [updated_at]
 * @property {string} [url]
 * @property {boolean} [wanted]
 */

/**
 * @typedef {object} McpServerRequest
 * @property {boolean} [auto_start] Start it now, and again whenever the platform starts; afterwards start and stop say so
 * @property {Record<string, any>} config How to reach it: {command, args, env} for stdio, {url, headers} for http and sse. The values of env and headers are never shown again: *** stands for them
 * @property {string} [description]
 * @property {string} name
 * @property {boolean} [shared] Others may use it, not change it
 * @property {string} [slug] Its name in URLs and before its tools' names, as in my-server__search; made from the name when left out
 * @property {string} [transport] The label of an mcp plugin; when left out, stdio for a config with a command and http for one with a url
 */

/**
 * @typedef {object} McpTool
 * @property {string} description
 * @property {boolean} destructive It may delete or overwrite, as its server says
 * @property {boolean} idempotent A second call with the same arguments changes nothing more, as its server says
 * @property {Record<string, any>} input_schema The JSON Schema of its arguments
 * @property {string} name As its server has it
 * @property {string} qualified_name As agents have it, and as an agent's tools may name it
 * @property {boolean} read_only It changes nothing, as its server says
 * @property {string} [title]
 */

/**
 * @typedef {object} McpTools
 * @property {McpTool[]} tools
 */

/**
 * @typedef {object} Message
 * @property {string} content
 * @property {MessageFile[]} [files] Files that go with the message
 * @property {string} id
 * @property {Record<string, any>} metadata
 * @property {"user" | "assistant" | "tool" | "system"} role
 * @property {string} session_id
 * @property {string} timestamp
 */

/**
 * @typedef {object} MessageFile
 * @property {string} content_type
 * @property {string} id
 * @property {string} name
 * @property {number} size In bytes
 */

/**
 * @typedef {object} Model
 * @property {string[]} capabilities
 * @property {number} [context_window] In tokens; left out when unknown
 * @property {string} [display_name]
 * @property {string} id What an agent's config.model may be
 * @property {number} [max_output_tokens]
 * @property {string} provider
 * @property {string} provider_model The provider's own name for it
 */

/**
 * @typedef {object} Models
 * @property {Model[]} models
 */

/**
 * @typedef {object} MoveRequest
 * @property {string} from The label of the files stanza to empty
 * @property {string} to The label of the files stanza to fill
 */

/**
 * @typedef {object} NewAPIKey
 * @property {string} created_at
 * @property {string} [expires_at] Left out for a key that does not expire
 * @property {string} id
 * @property {string} key The key itself, to be sent as Authorization: Bearer. It is shown this once
 * @property {string} [last_used_at] Up to a minute behind; left out for a key that was never used
 * @property {string} name
 * @property {string[]} scopes
 * @property {string} user_id
 */

/**
 * @typedef {object} PasswordChange
 * @property {string} current_password
 * @property {string} new_password
 */

/**
 * @typedef {object} PasswordReset
 * @property {string} password
 */

/**
 * @typedef {object} Plugin
 * @property {string[]} capabilities
 * @property {string} description
 * @property {number} generation The reload that made the present process; 1 is the server's start
 * @property {string} kind
 * @property {string} label
 * @property {string} [last_error]
 * @property {number} memory_bytes Resident memory of the process and its children; 0 where it can't be told
 * @property {string} name
 * @property {number} [pid]
 * @property {number} restarts
 * @property {string} [started_at]
 * @property {"starting" | "running" | "restarting" | "failed" | "disabled" | "stopped"} state
 * @property {number} uptime_seconds Since the present process was ready; 0 without one
 * @property {string} version
 */

/**
 * @typedef {object} Plugins
 * @property {Plugin[]} plugins
 */

/**
 * @typedef {object} Readiness
 * @property {CheckResult[]} checks What was looked at
 * @property {"ready"} status
 * @property {string} timestamp
 * @property {string} version The server's version
 */

/**
 * @typedef {object} RefreshRequest
 * @property {string} [refresh_token] The newest refresh token; may be left out when a live access token is sent
 */

/**
 * @typedef {object} Reload
 * @property {string} file_backend The label of the one that takes new files; empty for none
 * @property {number} generation Counts the sets of plugins since the server's start; the same as before when nothing has changed
 * @property {string[]} kept
 * @property {string[]} replaced Have a new process; the old one ends when its calls have
 * @property {string[]} started
 * @property {string[]} stopped
 */

/**
 * @typedef {object} Run
 * @property {string} agent_id
 * @property {number} attempt How often it was started: once, and again after each crash
 * @property {boolean} cancel_requested
 * @property {string} created_at
 * @property {string} [ended_at]
 * @property {RunError} [error] Why it failed
 * @property {string} id
 * @property {string} input_message_id
 * @property {"chat" | "task"} kind
 * @property {string} [message_id] The answer, once there is one
 * @property {string} [model]
 * @property {string} [session_id]
 * @property {"running" | "waiting_approval" | "completed" | "failed" | "cancelled" | "interrupted"} status
 * @property {string} [task_id]
 * @property {Usage} usage
 * @property {string} user_id
 */

/**
 * @typedef {object} RunError
 * @property {string} code rate_limited, unavailable, timeout, plugin_crashed and others
 * @property {string} message
 * @property {boolean} retryable The same message may succeed later
 */

/**
 * @typedef {object} Session
 * @property {string} agent_id
 * @property {string} created_at
 * @property {string} id
 * @property {number} messages How many it has
 * @property {string} updated_at When its newest turn was
 * @property {string} user_id
 */

/**
 * @typedef {object} SessionList
 * @property {number} limit
 * @property {number} offset
 * @property {Session[]} sessions
 * @property {number} total How many there are in all
 */

/**
 * @typedef {object} Task
 * @property {string} agent_id
 * @property {number} attempts
 * @property {string} [completed_at] When it ended, however
 * @property {string} created_at
 * @property {string} created_by
 * @property {Record<string, any>} [data]
 * @property {string} description
 * @property {RunError} [error] Why the last attempt failed
 * @property {string} id
 * @property {number} max_attempts
 * @property {string} [next_attempt_at] While it waits for another attempt
 * @property {"low" | "medium" | "high"} priority
 * @property {TaskProgress} progress
 * @property {Record<string, any>} [result] Once it is completed: the agent's final message, its message_id, and files if there are
 * @property {string} [run_id] Once it has begun: see GET /v1/runs/{run_id}
 * @property {string} [started_at]
 * @property {"pending" | "running" | "completed" | "failed" | "cancelled"} status
 * @property {number} [timeout_seconds]
 * @property {string} title
 * @property {string} updated_at
 * @property {Usage} usage
 */

/**
 * @typedef {object} TaskList
 * @property {number} limit
 * @property {number} offset
 * @property {Task[]} tasks
 * @property {number} total How many there are in all
 */

/**
 * @typedef {object} TaskProgress
 * @property {string} [step] The newest one: complete, call_tool, list_tools or read_file
 * @property {number} steps How many calls of models, tools and files are done
 */

/**
 * @typedef {object} TaskRequest
 * @property {string} agent_id Who does it
 * @property {Record<string, any>} [data] Any object, for the agent; at most 256 KiB
 * @property {string} [description] What is to be done
 * @property {string[]} [file_ids] Files that go with the task: ids that POST /v1/files/upload gave, each once
 * @property {number} [max_attempts] How often it is tried when a failure may pass, as a provider that is busy
 * @property {"low" | "medium" | "high"} [priority] All that is high goes before anything medium
 * @property {number} [timeout_seconds] How long an attempt may take; the agent's own timeout unless given
 * @property {string} title What is to be done, in a line
 */

/**
 * @typedef {object} Tokens
 * @property {string} access_token To be sent as Authorization: Bearer
 * @property {number} expires_in Seconds until the access token is too old
 * @property {string} refresh_token For one use with POST /v1/auth/refresh
 * @property {"bearer"} token_type
 * @property {Account} user
 */

/**
 * @typedef {object} Usage
 * @property {number} input_tokens
 * @property {number} output_tokens
 */

/**
 * @typedef {object} UsageList
 * @property {number} limit
 * @property {number} offset
 * @property {UsedRow} sum Of all rows, of other pages too
 * @property {number} total How many there are in all
 * @property {UsedRow[]} usage
 */

/**
 * @typedef {object} UsedRow
 * @property {string} [agent_id]
 * @property {number} cached_input_tokens Those of the input that came from the provider's cache
 * @property {number} completions How often a model has answered
 * @property {string} [day] In UTC
 * @property {number} input_tokens
 * @property {string} [model] The model's id, as GET /v1/models has it
 * @property {number} output_tokens
 * @property {number} reasoning_tokens Those of the output that were spent on reasoning
 * @property {string} [user_id]
 */

/**
 * @typedef {object} User
 * @property {string} created_at
 * @property {boolean} disabled
 * @property {string} email
 * @property {string} id
 * @property {"admin" | "member" | "viewer"} role
 * @property {string} updated_at
 * @property {string} username
 */

/**
 * @typedef {object} UserChange
 * @property {boolean} [disabled] A disabled user is out within a second everywhere, and of open streams within five
 * @property {string} [email]
 * @property {"admin" | "member" | "viewer"} [role]
 */

/**
 * @typedef {object} UserList
 * @property {number} limit
 * @property {number} offset
 * @property {number} total How many there are in all
 * @property {User[]} users
 */

/**
 * @typedef {object} UserRequest
 * @property {string} email
 * @property {string} password
 * @property {"admin" | "member" | "viewer"} [role]
 * @property {string} username
 */
