"""LangGraph: the agent loop of its documentation (model node, tool node), SQLite checkpoints written synchronously.

Usage: langgraph_payer.py FOLDER run|resume
"""

import sqlite3
import sys

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

from pay import pay

tools = [tool(pay)]


def model(state: MessagesState):
    """The scripted model: pay, then report."""
    last = state["messages"][-1]
    if isinstance(last, ToolMessage):
        return {"messages": [AIMessage(f"Paid: {last.content}")]}
    call = {"name": "pay", "args": {"to": "Ada", "euros": 100}, "id": "call_1", "type": "tool_call"}
    return {"messages": [AIMessage("", tool_calls=[call])]}


def next_step(state: MessagesState):
    return "tools" if state["messages"][-1].tool_calls else END


def main(folder, verb):
    graph = StateGraph(MessagesState)
    graph.add_node("model", model)
    graph.add_node("tools", ToolNode(tools))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", next_step)
    graph.add_edge("tools", "model")
    saver = SqliteSaver(sqlite3.connect(f"{folder}/checkpoints.db", check_same_thread=False))
    app = graph.compile(checkpointer=saver)
    config = {"configurable": {"thread_id": "payer"}}
    # `None` goes on from the last checkpoint.
    given = {"messages": [HumanMessage("Pay Ada 100 euros.")]} if verb == "run" else None
    end = app.invoke(given, config, durability="sync")
    print(end["messages"][-1].content)


main(*sys.argv[1:])
