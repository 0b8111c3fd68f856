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
 * @property {FieldError[]} [warnings] Only in the reply to a request that creates or changes the agent: what does not work in its runs, such as an MCP server that is down or a tool pattern that matches nothing
 */

/**
 * @typedef {object} AgentChange
 * @property {Record<string, any>} [config] Merged with the config. null removes a field
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
 * @property {string} [next_cursor] The cursor of the next page. Omitted on the last page
 * @property {number} offset
 * @property {number} total The number of results on all pages
 */

/**
 * @typedef {object} AgentMessage
 * @property {string} agent_id
 * @property {string} channel
 * @property {string} message
 * @property {string} message_id
 * @property {string} run_id
 * @property {number} seq Increases, with gaps. Subscribe with after to continue after this message
 * @property {string} session_id
 * @property {"agent.message"} type From the server: an answer of an agent
 */

/**
 * @typedef {object} AgentReplacement
 * @property {Record<string, any>} [config] Must be valid against the config_schema of the type
 * @property {string} [created_at]
 * @property {string} [created_by]
 * @property {string} [description]
 * @property {string} [id]
 * @property {string} name
 * @property {boolean} [shared] Other users can use this agent but cannot change it
 * @property {"active" | "inactive" | "error"} [status] active or inactive. The server reports error while a dependency is down; if you send error, the stored status stays. The default is active
 * @property {string} type One of the types of GET /v1/agent-types
 * @property {string} [updated_at]
 * @property {FieldError[]} [warnings]
 */

/**
 * @typedef {object} AgentRequest
 * @property {Record<string, any>} [config] Must be valid against the config_schema of the type
 * @property {string} [description]
 * @property {string} name
 * @property {boolean} [shared] Other users can use this agent but cannot change it
 * @property {"active" | "inactive"} [status] An inactive agent accepts no messages. The default is active
 * @property {string} type One of the types of GET /v1/agent-types
 */

/**
 * @typedef {object} AgentType
 * @property {boolean} available false while its plugin is down
 * @property {Record<string, any>} config_schema The JSON Schema of an agent's config
 * @property {string} description
 * @property {string} type The value for an agent's type
 */

/**
 * @typedef {object} AgentTypes
 * @property {AgentType[]} agent_types
 */

/**
 * @typedef {object} ApiKey
 * @property {string} created_at
 * @property {string} [expires_at] Omitted for a key that does not expire
 * @property {string} id
 * @property {string} [last_used_at] Accurate to one minute. Omitted for a key that was never used
 * @property {string} name
 * @property {string} [parent_id] The API key that created this key. This key is deleted with it
 * @property {string[]} scopes
 * @property {string} user_id
 */

/**
 * @typedef {object} ApiKeyList
 * @property {ApiKey[]} api_keys
 * @property {number} limit
 * @property {string} [next_cursor] The cursor of the next page. Omitted on the last page
 * @property {number} offset
 * @property {number} total The number of results on all pages
 */

/**
 * @typedef {object} ApiKeyRequest
 * @property {string} [expires_at] When the key expires: a time, or a date, which means the start of that day in UTC. By default the key does not expire, or it expires with the API key that creates it
 * @property {string} name What the key is for. Unique among your keys
 * @property {string[]} scopes What the key may access: * for everything that you may access, or agents, chat, tasks, files, mcp or admin with :read or :write. A :write scope includes :read
 */

/**
 * @typedef {object} AuditEntry
 * @property {string} action The operationId of the operation in this document
 * @property {string} address The address of the client
 * @property {string} at
 * @property {string} [credential] The id of the login or API key
 * @property {"done" | "refused"} outcome
 * @property {string} [reason] The code of the error, if the request was refused
 * @property {number} repeated The number of requests that the record stands for. More than 1 for refusals of the same kind within a minute; the record describes the last one
 * @property {string} request_id Identifies the request in the server's log
 * @property {number} seq Increases with each record
 * @property {string} [target] The id of the object, or several ids separated by slashes
 * @property {string} [user_id] Omitted if nobody was signed in
 * @property {string} [username] For a refused sign-in, the username in the request
 */

/**
 * @typedef {object} AuditList
 * @property {AuditEntry[]} entries
 * @property {number} limit
 * @property {string} [next_cursor] The cursor of the next page. Omitted on the last page
 * @property {number} offset
 * @property {number} total The number of results on all pages
 */

/**
 * @typedef {object} AuthMessage
 * @property {string} token An access token or an API key
 * @property {"auth"} type From the client: signs in. It must be the first message
 */

/**
 * @typedef {object} AuthOKMessage
 * @property {"auth.ok"} type From the server: you are signed in
 */

/**
 * @typedef {object} ChatReply
 * @property {MessageFile[]} [files] Files attached to the answer
 * @property {string} id
 * @property {string} message
 * @property {Record<string, any>} metadata model, tokens_used, run_id; history_truncated if the model received only the newest messages of the session
 * @property {string} session_id
 * @property {string} timestamp
 */

/**
 * @typedef {object} ChatRequest
 * @property {string[]} [file_ids] Files to attach: ids from POST /v1/files/upload, without duplicates
 * @property {string} message Your message to the agent
 * @property {string} [session_id] The conversation: up to 128 printable characters of any script, without the path segments . and .. An unknown id starts a session with that id. Without an id, a new session is started
 * @property {boolean} [stream] Stream the answer as server-sent events. The default is false
 */

/**
 * @typedef {object} CheckResult
 * @property {string} [message] What is wrong
 * @property {string} name
 * @property {"ok" | "degraded"} status degraded: the server works, but some features do not
 */

/**
 * @typedef {object} ContentBlob
 * @property {string} data
 * @property {string} media_type
 * @property {string} [name]
 */

/**
 * @typedef {object} ContentFile
 * @property {string} id
 * @property {string} media_type
 * @property {string} name
 * @property {number} size In bytes
 */

/**
 * @typedef {object} ContentPart
 * @property {ContentBlob} [blob] Binary content, such as an image
 * @property {ContentFile} [file] A file of the API
 * @property {string} [text]
 */

/**
 * @typedef {object} Credentials
 * @property {string} password
 * @property {string} username
 */

/**
 * @typedef {object} EndEvent
 * @property {string} [message_id] The answer. It is missing if the run was cancelled before its first token
 * @property {Record<string, any>} metadata model, tokens_used, run_id, status, finish_reason, usage; history_truncated if the model received only the newest messages of the session
 * @property {"end"} type The last event of a run that has an answer
 */

/**
 * @typedef {object} Error
 * @property {Failure} error
 */

/**
 * @typedef {object} ErrorEvent
 * @property {Failure} error
 * @property {string} [run_id] The run that has failed. Only in streams of a run
 * @property {"error"} type
 */

/**
 * @typedef {object} Failure
 * @property {string} code The kind of error, for programs
 * @property {FailureDetails} details
 * @property {string} message What happened, for people
 * @property {string} request_id Identifies the request in the server's log. Same as the X-Request-ID header
 */

/**
 * @typedef {object} FailureDetails
 * @property {FieldError[]} [errors] All invalid fields, if there is more than one
 * @property {string} [field] The path of the invalid field, such as config.tools[0], or the name of the invalid parameter or header
 * @property {string} [id] The id of that object
 * @property {string} [issue] What is wrong with it and how to correct it
 * @property {string} [object] The kind of object that the error is about, such as agent
 * @property {string} [reason] Why the run failed, for example rate_limited, timeout or plugin_crashed
 * @property {boolean} [retryable] Whether the same message may succeed later, if a run failed
 * @property {string} [run_id] The run that failed, or that prevents the action
 */

/**
 * @typedef {object} FieldError
 * @property {string} field
 * @property {string} issue
 */

/**
 * @typedef {object} File
 * @property {string} content_type Detected from the content. The type that the upload declares is ignored
 * @property {string} created_at
 * @property {string} created_by
 * @property {string} id
 * @property {Record<string, any>} metadata Your own description of the file
 * @property {string} name
 * @property {string} sha256 The SHA-256 of the content, in hex
 * @property {number} size In bytes
 * @property {string} updated_at When the name or the metadata last changed. The content never changes
 */

/**
 * @typedef {object} FileChange
 * @property {Record<string, any>} [metadata] Merged with the metadata. null removes a field. At most 64 KiB in total
 * @property {string} [name] At most 255 characters, without control characters. Everything up to the last slash or backslash is removed
 */

/**
 * @typedef {object} FileList
 * @property {File[]} files
 * @property {number} limit
 * @property {string} [next_cursor] The cursor of the next page. Omitted on the last page
 * @property {number} offset
 * @property {number} total The number of results on all pages
 */

/**
 * @typedef {object} Health
 * @property {"healthy"} status
 * @property {string} timestamp
 * @property {string} version The server's version
 */

/**
 * @typedef {object} History
 * @property {boolean} has_more Whether there are older messages
 * @property {number} limit
 * @property {Message[]} messages
 * @property {string} [next_cursor] The cursor of the page with older messages. Omitted if there are none
 */

/**
 * @typedef {object} LogLineEvent
 * @property {number} seq
 * @property {"stderr" | "host"} source
 * @property {string} text
 * @property {string} timestamp
 * @property {"log"} type
 */

/**
 * @typedef {object} MCPServer
 * @property {string[]} capabilities The capabilities that the server declared at its last start
 * @property {Record<string, any>} config The values of env and headers are replaced by ***
 * @property {string} created_at
 * @property {string} created_by
 * @property {string} description
 * @property {string} id
 * @property {string} last_error Why the server is in error or last exited. Empty if there was no error, and for users who may not change the server
 * @property {string} name
 * @property {number} [pid] The id of the process. Only for admins
 * @property {number} restarts
 * @property {string} sandbox How the process is isolated. Empty without a process
 * @property {boolean} share_credentials Whether other users may call this server through shared agents of its creator, with its credentials
 * @property {boolean} shared
 * @property {string} slug
 * @property {string} [started_at] When the server became ready. Omitted while the server is not running
 * @property {"stopped" | "starting" | "running" | "error" | "stopping"} status
 * @property {string} transport
 * @property {string} updated_at
 * @property {string} url URL for MCP clients. Authenticate with an AgentArea access token or API key
 * @property {boolean} wanted Whether the server should run, also after a crash and when the platform starts. Set by start and stop
 */

/**
 * @typedef {object} McpAction
 * @property {string[]} capabilities The capabilities that the server declared at its last start
 * @property {Record<string, any>} config The values of env and headers are replaced by ***
 * @property {string} created_at
 * @property {string} created_by
 * @property {string} description
 * @property {string} id
 * @property {string} last_error Why the server is in error or last exited. Empty if there was no error, and for users who may not change the server
 * @property {string} message The result of the action, for people
 * @property {string} name
 * @property {number} [pid] The id of the process. Only for admins
 * @property {number} restarts
 * @property {string} sandbox How the process is isolated. Empty without a process
 * @property {boolean} share_credentials Whether other users may call this server through shared agents of its creator, with its credentials
 * @property {boolean} shared
 * @property {string} slug
 * @property {string} [started_at] When the server became ready. Omitted while the server is not running
 * @property {"stopped" | "starting" | "running" | "error" | "stopping"} status
 * @property {string} transport
 * @property {string} updated_at
 * @property {string} url URL for MCP clients. Authenticate with an AgentArea access token or API key
 * @property {boolean} wanted Whether the server should run, also after a crash and when the platform starts. Set by start and stop
 */

/**
 * @typedef {object} McpLog
 * @property {McpLogLine[]} logs
 */

/** @typedef {LogLineEvent | ErrorEvent} McpLogEvent */

/**
 * @typedef {object} McpLogLine
 * @property {number} seq The number of the line, from 1 at the start of the platform. A gap means that lines were dropped
 * @property {"stderr" | "host"} source stderr for the server's own output, host for messages of the platform about it
 * @property {string} text
 * @property {string} timestamp
 */

/**
 * @typedef {object} McpServerChange
 * @property {Record<string, any>} [config] Merged with the config. null removes a field
 * @property {string} [description]
 * @property {string} [name]
 * @property {boolean} [share_credentials]
 * @property {boolean} [shared]
 * @property {string} [slug]
 * @property {string} [transport] If omitted, it stays unchanged, but stdio becomes http for a config with a url and http becomes stdio for one with a command
 */

/**
 * @typedef {object} McpServerList
 * @property {number} limit
 * @property {string} [next_cursor] The cursor of the next page. Omitted on the last page
 * @property {number} offset
 * @property {MCPServer[]} servers
 * @property {number} total The number of results on all pages
 */

/**
 * @typedef {object} McpServerReplacement
 * @property {string[]} [capabilities]
 * @property {Record<string, any>} config A value of *** in env or headers keeps the stored value, unless the transport, the command, or the scheme, host or port of the url changes
 * @property {string} [created_at]
 * @property {string} [created_by]
 * @property {string} [description]
 * @property {string} [id]
 * @property {string} [last_error]
 * @property {string} name
 * @property {number} [pid]
 * @property {number} [restarts]
 * @property {string} [sandbox]
 * @property {boolean} [share_credentials] Other users may call this server through your shared agents, with its credentials
 * @property {boolean} [shared] Other users can use this server but cannot change it
 * @property {string} [slug] By default it stays unchanged
 * @property {string} [started_at]
 * @property {string} [status]
 * @property {string} [transport] The default is stdio for a config with a command and http for one with a url
 * @property {string} [updated_at]
 * @property {string} [url]
 * @property {boolean} [wanted]
 */

/**
 * @typedef {object} McpServerRequest
 * @property {boolean} [auto_start] Whether to start the server now and whenever the platform starts. Change it later with start and stop. The default is true
 * @property {Record<string, any>} config {command, args, env} for stdio, {url, headers} for http and sse. The values of env and headers are write-only: replies contain *** instead
 * @property {string} [description]
 * @property {string} name
 * @property {boolean} [share_credentials] Other users may call this server through your shared agents, with its credentials
 * @property {boolean} [shared] Other users can use this server but cannot change it
 * @property {string} [slug] The name in URLs and the prefix of tool names, such as my-server__search. By default it is derived from the name
 * @property {string} [transport] The label of an mcp plugin. The default is stdio for a config with a command and http for one with a url
 */

/**
 * @typedef {object} McpTool
 * @property {string} description
 * @property {boolean} destructive Whether the server declares that the tool may delete or overwrite data
 * @property {boolean} idempotent Whether the server declares that repeating a call with the same arguments has no further effect
 * @property {Record<string, any>} input_schema The JSON Schema of the arguments
 * @property {string} name The name that the server uses
 * @property {string} qualified_name The name that agents use, also in the tools of an agent's config
 * @property {boolean} read_only Whether the server declares that the tool changes nothing
 * @property {string} [title]
 */

/**
 * @typedef {object} McpTools
 * @property {McpTool[]} tools
 */

/**
 * @typedef {object} Message
 * @property {string} content
 * @property {MessageFile[]} [files] Files attached to the message
 * @property {string} id
 * @property {Record<string, any>} metadata
 * @property {"user" | "assistant" | "tool" | "system"} role
 * @property {string} session_id
 * @property {string} timestamp
 * @property {ToolCall[]} [tool_calls] Tool calls that led to the answer, in the order of the calls
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
 * @property {number} [context_window] In tokens. Omitted if unknown
 * @property {string} [display_name]
 * @property {string} id The value for an agent's config.model
 * @property {number} [max_output_tokens]
 * @property {string} provider
 * @property {string} provider_model The provider's own name of the model
 */

/**
 * @typedef {object} Models
 * @property {Model[]} models
 */

/**
 * @typedef {object} MoveEndEvent
 * @property {number} bytes
 * @property {number} failed The number of files that could not be moved
 * @property {number} files The number of files that were moved
 * @property {number} total_bytes
 * @property {number} total_files
 * @property {"end"} type The last event of a move
 */

/** @typedef {MoveProgressEvent | MoveFailedEvent | MoveEndEvent | ErrorEvent} MoveEvent */

/**
 * @typedef {object} MoveFailedEvent
 * @property {Failure} error
 * @property {string} file_id
 * @property {"failed"} type A file could not be moved, and stays where it is
 */

/**
 * @typedef {object} MoveProgressEvent
 * @property {number} bytes
 * @property {number} failed The number of files that could not be moved
 * @property {number} files The number of files that were moved
 * @property {number} total_bytes
 * @property {number} total_files
 * @property {"progress"} type
 */

/**
 * @typedef {object} MoveRequest
 * @property {string} from The label of the files block to move files from
 * @property {string} to The label of the files block to move files to
 */

/**
 * @typedef {object} NewAPIKey
 * @property {string} created_at
 * @property {string} [expires_at] Omitted for a key that does not expire
 * @property {string} id
 * @property {string} key The key itself, for the header Authorization: Bearer. It is not shown again
 * @property {string} [last_used_at] Accurate to one minute. Omitted for a key that was never used
 * @property {string} name
 * @property {string} [parent_id] The API key that created this key. This key is deleted with it
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
 * @property {boolean} [end_api_keys] Also deletes all API keys of the user. The default is false
 * @property {string} password
 */

/**
 * @typedef {object} PingMessage
 * @property {"ping"} type From the client: checks the connection
 */

/**
 * @typedef {object} Plugin
 * @property {string[]} capabilities
 * @property {string} description
 * @property {number} generation The reload that started the current process. 1 is the start of the server
 * @property {string} kind
 * @property {string} label
 * @property {string} [last_error]
 * @property {number} memory_bytes Resident memory of the process and its children. 0 if unknown
 * @property {string} name
 * @property {number} [pid]
 * @property {number} restarts
 * @property {string} [started_at]
 * @property {"starting" | "running" | "restarting" | "failed" | "disabled" | "stopped"} state
 * @property {number} uptime_seconds Seconds since the current process became ready. 0 without a process
 * @property {string} version
 */

/**
 * @typedef {object} Plugins
 * @property {Plugin[]} plugins
 */

/**
 * @typedef {object} PongMessage
 * @property {"pong"} type From the server: the reply to ping
 */

/**
 * @typedef {object} Readiness
 * @property {CheckResult[]} checks The result of each check
 * @property {"ready"} status
 * @property {string} timestamp
 * @property {string} version The server's version
 */

/**
 * @typedef {object} RefreshRequest
 * @property {string} [refresh_token] The newest refresh token. Optional if the request has a valid access token
 */

/**
 * @typedef {object} Reload
 * @property {string} file_backend The label of the file backend for new files. Empty if there is none
 * @property {number} generation The number of the current set of plugins, starting with 1 when the server starts. It stays the same if nothing changed
 * @property {string[]} kept
 * @property {string[]} replaced Restarted plugins. The old process exits when its last call has finished
 * @property {string[]} started
 * @property {string[]} stopped
 */

/**
 * @typedef {object} RestartEvent
 * @property {number} attempt How often the run was started
 * @property {number} drop_after Discard the tokens with a greater id. They are generated again
 * @property {"restart"} type A crash interrupted the step, which is repeated
 */

/**
 * @typedef {object} Run
 * @property {string} agent_id
 * @property {number} attempt How often the run was started: once, and again after each crash
 * @property {boolean} cancel_requested
 * @property {string} created_at
 * @property {string} [ended_at]
 * @property {RunError} [error] Why the run failed
 * @property {string} id
 * @property {string} input_message_id
 * @property {"chat" | "task"} kind
 * @property {string} [message_id] The answer, once the run has one
 * @property {string} [model]
 * @property {string} [session_id]
 * @property {"running" | "completed" | "failed" | "cancelled" | "interrupted"} status
 * @property {string} [task_id]
 * @property {Usage} usage
 * @property {string} user_id
 */

/**
 * @typedef {object} RunError
 * @property {string} code For example rate_limited, unavailable, timeout or plugin_crashed
 * @property {string} message
 * @property {boolean} retryable Whether the same message may succeed later
 */

/** @typedef {StartEvent | TokenEvent | ToolCallEvent | ToolResultEvent | UsageEvent | RestartEvent | EndEvent | ErrorEvent} RunEvent */

/**
 * @typedef {object} Session
 * @property {string} agent_id
 * @property {string} created_at
 * @property {string} id
 * @property {number} messages The number of messages
 * @property {string} updated_at The time of the newest turn
 * @property {string} user_id
 */

/**
 * @typedef {object} SessionList
 * @property {number} limit
 * @property {string} [next_cursor] The cursor of the next page. Omitted on the last page
 * @property {number} offset
 * @property {Session[]} sessions
 * @property {number} total The number of results on all pages
 */

/**
 * @typedef {object} StartEvent
 * @property {string} run_id
 * @property {string} session_id
 * @property {"start"} type The first event of a run
 */

/**
 * @typedef {object} StorageUsage
 * @property {StoredBytes} database Agents, MCP servers, sessions with their messages and runs, tasks, notifications, and the names and metadata of files
 * @property {StoredBytes} files The contents of files
 */

/**
 * @typedef {object} StoredBytes
 * @property {number} limit_bytes 0 means no limit
 * @property {number} used_bytes
 */

/**
 * @typedef {object} SubscribeMessage
 * @property {number} [after] The seq of the last message you received. The reply is followed by the stored messages after it
 * @property {string} channel agent.{id}.events, task.{id}.events, tasks or system
 * @property {"subscribe"} type From the client: subscribes to a channel
 */

/**
 * @typedef {object} SubscribedMessage
 * @property {string} channel
 * @property {number} seq The number after which the messages begin
 * @property {"subscribed"} type From the server: later messages of the channel follow
 */

/**
 * @typedef {object} SystemMessage
 * @property {string} channel
 * @property {"info" | "warning" | "error"} level
 * @property {string} message
 * @property {number} seq Increases, with gaps. Subscribe with after to continue after this message
 * @property {string} timestamp
 * @property {"system.notification"} type From the server: a plugin or an MCP server has started, failed or recovered
 */

/**
 * @typedef {object} Task
 * @property {string} agent_id
 * @property {number} attempts
 * @property {string} [completed_at] When the task ended, with any status
 * @property {string} created_at
 * @property {string} created_by
 * @property {Record<string, any>} [data]
 * @property {string} description
 * @property {RunError} [error] Why the last attempt failed
 * @property {string} id
 * @property {number} max_attempts
 * @property {string} [next_attempt_at] When the next attempt starts, while the task waits for one
 * @property {"low" | "medium" | "high"} priority
 * @property {TaskProgress} progress
 * @property {number} [queue_position] The position in the queue of all users: 1 starts next. Only GET /v1/tasks/{task_id} returns it, and only for a task that waits for a free slot. Tasks with a higher priority come first, and users take turns
 * @property {Record<string, any>} [result] The agent's final message, its message_id, and its files if there are any. Set when the task is completed
 * @property {string} [run_id] The run of the task, once it has started. See GET /v1/runs/{run_id}
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
 * @property {string} [next_cursor] The cursor of the next page. Omitted on the last page
 * @property {number} offset
 * @property {Task[]} tasks
 * @property {number} total The number of results on all pages
 */

/**
 * @typedef {object} TaskProgress
 * @property {string} [step] The newest call: complete, call_tool, list_tools or read_file
 * @property {number} steps The number of completed calls of models, tools and files
 */

/**
 * @typedef {object} TaskRequest
 * @property {string} agent_id The id of the agent that executes the task
 * @property {Record<string, any>} [data] A JSON object for the agent, at most 256 KiB
 * @property {string} [description] What to do, in detail
 * @property {string[]} [file_ids] Files to attach: ids from POST /v1/files/upload, without duplicates
 * @property {number} [max_attempts] The maximum number of attempts. An attempt that failed for a temporary reason, such as a busy provider, is followed by another one. The default is 3
 * @property {"low" | "medium" | "high"} [priority] Tasks of a higher priority start first. The default is medium
 * @property {number} [timeout_seconds] The timeout of an attempt. The default is the agent's timeout, or else the server's --task-timeout
 * @property {string} title What to do, in one line
 */

/**
 * @typedef {object} TaskStatusMessage
 * @property {string} agent_id
 * @property {number} attempts
 * @property {string} channel
 * @property {RunError} [error] Why the task, or its last attempt, has failed
 * @property {any} [result] The result of a completed task
 * @property {string} [run_id]
 * @property {number} seq Increases, with gaps. Subscribe with after to continue after this message
 * @property {"pending" | "running" | "completed" | "failed" | "cancelled"} status
 * @property {string} task_id
 * @property {"task.status"} type From the server: the status of a task has changed
 */

/**
 * @typedef {object} TokenEvent
 * @property {string} content
 * @property {"token"} type The next piece of the answer
 */

/**
 * @typedef {object} TokenUsage
 * @property {number} [cached_input_tokens] Input tokens that were read from the provider's cache
 * @property {number} input_tokens
 * @property {number} output_tokens
 * @property {number} [reasoning_tokens] Output tokens that were used for reasoning
 */

/**
 * @typedef {object} Tokens
 * @property {string} access_token Send it in the header Authorization: Bearer
 * @property {number} expires_in Seconds until the access token expires
 * @property {string} [refresh_token] For one use with POST /v1/auth/refresh. Omitted if the request was authenticated by an access token
 * @property {"bearer"} token_type
 * @property {Account} user
 */

/**
 * @typedef {object} ToolCall
 * @property {Record<string, any>} arguments
 * @property {string} id ID that the model gave the call
 * @property {boolean} is_error Whether the tool reported a failure
 * @property {string} name
 * @property {string} result Text of the result. A text of more than 64 KiB is truncated
 */

/**
 * @typedef {object} ToolCallEvent
 * @property {any} arguments The arguments: a JSON object, or the text of the model if that is not JSON
 * @property {string} id The id of the call
 * @property {string} name
 * @property {"tool_call"} type The agent calls a tool
 */

/**
 * @typedef {object} ToolResultEvent
 * @property {ContentPart[]} content
 * @property {string} id The id of the call
 * @property {boolean} is_error Whether the tool reported a failure
 * @property {string} name
 * @property {"tool_result"} type The result of a tool call
 */

/**
 * @typedef {object} UnsubscribeMessage
 * @property {string} channel
 * @property {"unsubscribe"} type From the client: ends a subscription
 */

/**
 * @typedef {object} UnsubscribedMessage
 * @property {string} channel
 * @property {"unsubscribed"} type From the server: the subscription has ended
 */

/**
 * @typedef {object} Usage
 * @property {number} input_tokens
 * @property {number} output_tokens
 */

/**
 * @typedef {object} UsageEvent
 * @property {string} model
 * @property {"usage"} type A step other than the last one has finished
 * @property {TokenUsage} usage
 */

/**
 * @typedef {object} UsageList
 * @property {number} limit
 * @property {string} [next_cursor] The cursor of the next page. Omitted on the last page
 * @property {number} offset
 * @property {UsedRow} sum The sum of all rows on all pages
 * @property {number} total The number of results on all pages
 * @property {UsedRow[]} usage
 */

/**
 * @typedef {object} UsedRow
 * @property {string} [agent_id]
 * @property {number} cached_input_tokens Input tokens that were read from the provider's cache
 * @property {number} completions The number of completions
 * @property {string} [day] In UTC
 * @property {number} input_tokens
 * @property {string} [model] The id of the model in GET /v1/models
 * @property {number} output_tokens
 * @property {number} reasoning_tokens Output tokens that were used for reasoning
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
 * @property {boolean} [disabled] Disabling takes effect on every server within one second, and ends open streams within five
 * @property {string} [email]
 * @property {"admin" | "member" | "viewer"} [role]
 */

/**
 * @typedef {object} UserList
 * @property {number} limit
 * @property {string} [next_cursor] The cursor of the next page. Omitted on the last page
 * @property {number} offset
 * @property {number} total The number of results on all pages
 * @property {User[]} users
 */

/**
 * @typedef {object} UserRequest
 * @property {string} email
 * @property {string} password
 * @property {"admin" | "member" | "viewer"} [role] The default is member
 * @property {string} username
 */

/** @typedef {AuthMessage | SubscribeMessage | UnsubscribeMessage | PingMessage | AuthOKMessage | SubscribedMessage | UnsubscribedMessage | PongMessage | ErrorEvent | AgentMessage | TaskStatusMessage | SystemMessage} WebSocketMessage */
