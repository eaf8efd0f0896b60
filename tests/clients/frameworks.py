#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Frameworks that people build on, each with a tool call and its result through our server.

    frameworks.py AUKLET [CHECK]...
"""
import json
import os
import sys

os.environ.update(LITELLM_LOCAL_MODEL_COST_MAP="True", OPENAI_API_KEY="local", ANTHROPIC_API_KEY="local",
                  LANGSMITH_TRACING="false", DO_NOT_TRACK="1")
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import Server, rule, run_checks, say  # noqa: E402

MODEL, CALL = "north-mini-code", ("get_weather", {"city": "Oslo"})
TOOL = {"type": "function", "function": {
    "name": "get_weather", "description": "The weather of a city", "parameters": {
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}
ASK = "What is the weather in Oslo?"
RULES = [rule(say("It rains in Oslo."), "RAIN-RESULT"), rule(say(calls=[CALL]), "get_weather"),
         rule(say("Hello."))]
auklet = os.path.abspath(sys.argv[1])
s = None


def litellm_three_routes():
    import litellm
    seen = set()
    for route, base in (("ollama_chat/", s.url), ("openai/", s.url + "/v1"), ("anthropic/", s.url)):
        r = litellm.completion(model=route + MODEL, api_base=base, api_key="local", temperature=0, tools=[TOOL],
                               messages=[{"role": "user", "content": ASK}], max_tokens=500)
        c = r.choices[0].message.tool_calls[0].function
        seen.add((c.name, json.dumps(json.loads(c.arguments)), r.choices[0].finish_reason))
    assert seen == {(CALL[0], json.dumps(CALL[1]), "tool_calls")}, seen


def langchain_agent():
    from langchain.agents import create_agent
    from langchain_openai import ChatOpenAI
    asked = []

    def get_weather(city: str) -> str:
        """The weather of a city"""
        asked.append(city)
        return "RAIN-RESULT"
    agent = create_agent(ChatOpenAI(model=MODEL, base_url=s.url + "/v1", api_key="local"), [get_weather])
    r = agent.invoke({"messages": [("user", ASK)]})
    assert asked == ["Oslo"] and r["messages"][-1].content == "It rains in Oslo.", r


def langchain_ollama_and_anthropic():
    from langchain_anthropic import ChatAnthropic
    from langchain_ollama import ChatOllama
    for chat in (ChatOllama(model=MODEL, base_url=s.url),
                 ChatAnthropic(model=MODEL, base_url=s.url, api_key="local", max_tokens=500)):
        r = chat.bind_tools([TOOL]).invoke(ASK)
        assert (r.tool_calls[0]["name"], r.tool_calls[0]["args"]) == CALL, r
        assert "<|" not in str("".join(str(c.content) for c in chat.stream("Hi")))


def pydantic_ai_agent():
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider
    agent = Agent(OpenAIChatModel(MODEL, provider=OpenAIProvider(base_url=s.url + "/v1", api_key="local")))

    @agent.tool_plain
    def get_weather(city: str) -> str:
        """The weather of a city"""
        assert city == "Oslo"
        return "RAIN-RESULT"
    assert agent.run_sync(ASK).output == "It rains in Oslo."


def smolagents_agent():
    from smolagents import OpenAIServerModel, ToolCallingAgent, tool

    @tool
    def get_weather(city: str) -> str:
        """The weather of a city

        Args:
            city: the city
        """
        return "RAIN-RESULT"
    rules = [rule(say(calls=[("final_answer", {"answer": "It rains in Oslo."})]), "RAIN-RESULT"), RULES[1]]
    with Server(auklet, rules) as own:
        model = OpenAIServerModel(model_id=MODEL, api_base=own.url + "/v1", api_key="local")
        assert ToolCallingAgent(tools=[get_weather], model=model, verbosity_level=0).run(ASK) == "It rains in Oslo."


def instructor_model():
    import instructor
    import openai
    import pydantic

    class Place(pydantic.BaseModel):
        city: str
        days: int
    rules = [rule(say(calls=[("Place", {"city": "Oslo", "days": 3})]))]
    with Server(auklet, rules) as own:
        client = instructor.from_openai(openai.OpenAI(base_url=own.url + "/v1", api_key="local"))
        r = client.chat.completions.create(model=MODEL, response_model=Place,
                                           messages=[{"role": "user", "content": "Three days in Oslo"}])
        assert r.model_dump() == {"city": "Oslo", "days": 3}, r


CHECKS = [litellm_three_routes, langchain_agent, langchain_ollama_and_anthropic, pydantic_ai_agent,
          smolagents_agent, instructor_model]

if __name__ == "__main__":
    with Server(auklet, RULES, control=bool(os.environ.get("AUK_CONTROL"))) as s:
        status = run_checks(CHECKS, sys.argv[2:])
    sys.exit(status)
