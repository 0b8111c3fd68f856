// Package sdk holds the words that the server and every plugin share: Message,
// Tool, Usage, Error. It imports the standard library only.
//
// A plugin author picks the package of the plugin's kind (sdk/llm, sdk/agent,
// …), implements its one interface and calls its Serve from main. Authors in
// other languages start from proto/ instead.
package sdk
