// The official TypeScript client against `agent-host mcp`: lists and calls, and prints one JSON object of what it saw.
//
// client.mjs stdio PROGRAM [ARGUMENT…]
// client.mjs http URL TOKEN

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";

const [way, ...where] = process.argv.slice(2);
const transport =
  way === "stdio"
    ? new StdioClientTransport({ command: where[0], args: where.slice(1), env: process.env, stderr: "inherit" })
    : new StreamableHTTPClientTransport(new URL(where[0]), {
        requestInit: { headers: { Authorization: `Bearer ${where[1]}` } },
      });
const client = new Client({ name: "typescript", version: "1" }, { capabilities: { elicitation: {} } });
client.setRequestHandler(ElicitRequestSchema, () => ({ action: "accept", content: { approve: true } }));
await client.connect(transport);
const call = (name, args, options) => client.callTool({ name, arguments: args }, undefined, options);

const progress = [];
const { tools } = await client.listTools();
const text = await call("test_simple_text", {});
const failed = await call("test_error_handling", {});
await call("test_tool_with_progress", {}, { onprogress: (told) => progress.push([told.progress, told.total, told.message]) });
const together = await Promise.all(Array.from({ length: 8 }, () => call("wait", { ms: 50 })));
console.log(
  JSON.stringify({
    tools: tools.map((tool) => tool.name).sort(),
    text: text.content[0].text,
    failed: failed.isError,
    progress,
    together: together.map((result) => result.content[0].text),
  }),
);
await client.close();
