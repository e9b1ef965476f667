// A server of the official TypeScript SDK without any sandbox: what `cargo xtask bench mcp` measures agent-host beside. It greets, as the
// guest `plain` does.

import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { CallToolRequestSchema } from "@modelcontextprotocol/sdk/types.js";

const server = new Server({ name: "unsandboxed", version: "1" }, { capabilities: { tools: {} } });
server.setRequestHandler(CallToolRequestSchema, ({ params }) => ({
  content: [{ type: "text", text: `hello, ${params.arguments.name}` }],
}));
await server.connect(new StdioServerTransport());
