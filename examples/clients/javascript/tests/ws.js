// The module that the examples import as ws.
export { WebSocket } from "./harness.js";
