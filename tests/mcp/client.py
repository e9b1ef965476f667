"""The official Python client against `agent-host mcp`: lists and calls, and prints one JSON object of what it saw.

client.py legacy|auto stdio PROGRAM [ARGUMENT…]
client.py legacy|auto http URL TOKEN
"""

import asyncio
import json
import sys

import httpx2
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ElicitResult


async def approve(_context, _params):
    return ElicitResult(action="accept", content={"approve": True})


async def main(mode, way, *where):
    if way == "stdio":
        server = StdioServerParameters(command=where[0], args=list(where[1:]))
    else:
        headers = {"Authorization": f"Bearer {where[1]}"}
        server = streamable_http_client(where[0], http_client=httpx2.AsyncClient(headers=headers, timeout=60))
    progress = []

    async def told(done, total, message):
        progress.append([done, total, message])

    async with Client(server, mode=mode, elicitation_callback=approve) as client:
        tools = (await client.list_tools()).tools
        text = await client.call_tool("test_simple_text", {})
        failed = await client.call_tool("test_error_handling", {})
        await client.call_tool("test_tool_with_progress", {}, progress_callback=told)
        together = await asyncio.gather(*(client.call_tool("wait", {"ms": 50}) for _ in range(8)))
        seen = {
            "tools": sorted(tool.name for tool in tools),
            "text": text.content[0].text,
            "failed": failed.is_error,
            "progress": progress,
            "together": [result.content[0].text for result in together],
        }
    print(json.dumps(seen))


asyncio.run(main(*sys.argv[1:]))
