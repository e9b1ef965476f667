"""OpenAI Agents SDK: an agent with one function tool and a SQLite session. It has no resume of its own for a killed run: the
documented way on is to run again in the same session.

Usage: openai_agents_payer.py FOLDER run|resume
"""

import sys

from agents import Agent, Model, ModelResponse, Runner, SQLiteSession, Usage, function_tool, set_tracing_disabled
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

from pay import pay

set_tracing_disabled(True)


class Scripted(Model):
    """The scripted model: pay, then report. It sees what the session kept."""

    async def get_response(self, system_instructions, input, *args, **kwargs):
        results = [item["output"] for item in input if isinstance(item, dict) and item.get("type") == "function_call_output"]
        if results:
            text = ResponseOutputText(type="output_text", text=f"Paid: {results[-1]}", annotations=[])
            said = ResponseOutputMessage(id="m", type="message", role="assistant", status="completed", content=[text])
        else:
            arguments = '{"to": "Ada", "euros": 100}'
            said = ResponseFunctionToolCall(type="function_call", call_id="call_1", name="pay", arguments=arguments)
        return ModelResponse(output=[said], usage=Usage(), response_id=None)

    def stream_response(self, *args, **kwargs):
        raise NotImplementedError


folder, verb = sys.argv[1:]
agent = Agent(name="payer", model=Scripted(), tools=[function_tool(pay)])
session = SQLiteSession("payer", f"{folder}/session.db")
question = "Pay Ada 100 euros." if verb == "run" else "Please go on."
print(Runner.run_sync(agent, question, session=session).final_output)
