"""DBOS: the loop as a durable workflow, model and tool as steps, SQLite as the system database.

Usage: dbos_payer.py FOLDER run|resume
"""

import sys

from dbos import DBOS, SetWorkflowID

from pay import pay

folder, verb = sys.argv[1:]
DBOS(config={"name": "payer", "system_database_url": f"sqlite:///{folder}/dbos.sqlite", "run_admin_server": False})


@DBOS.step()
def ask_model(messages):
    """The scripted model: pay, then report."""
    last = messages[-1]
    if last["role"] == "tool":
        return {"role": "assistant", "content": f"Paid: {last['content']}"}
    return {"role": "assistant", "call": {"to": "Ada", "euros": 100}}


@DBOS.step()
def call_tool(call):
    return pay(**call)


@DBOS.workflow()
def agent(question):
    messages = [{"role": "user", "content": question}]
    while True:
        reply = ask_model(messages)
        messages.append(reply)
        if "call" not in reply:
            return reply["content"]
        messages.append({"role": "tool", "content": call_tool(reply["call"])})


# Takes up again what a killed process left.
DBOS.launch()
if verb == "run":
    with SetWorkflowID("payer"):
        handle = DBOS.start_workflow(agent, "Pay Ada 100 euros.")
else:
    handle = DBOS.retrieve_workflow("payer")
print(handle.get_result())
DBOS.destroy()
