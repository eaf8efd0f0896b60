// SPDX-License-Identifier: Apache-2.0
// npm's openai, @anthropic-ai/sdk, ollama and the AI SDK against our server.
//     node sdk.mjs URL SCRIPTED-URL        (run from where the packages are installed)
// URL is a server whose model answers, SCRIPTED-URL one that calls get_weather and then says so.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [url, scripted] = process.argv.slice(2);
const need = createRequire(process.cwd() + "/");
const load = name => import(pathToFileURL(need.resolve(name)));
const { default: OpenAI } = await load("openai");
const { default: Anthropic } = await load("@anthropic-ai/sdk");
const { Ollama } = await load("ollama");
const { generateText, streamText, tool, stepCountIs } = await load("ai");
const { createOpenAICompatible } = await load("@ai-sdk/openai-compatible");
const { z } = await load("zod");

const model = "north-mini-code", ask = "What is the weather in Oslo?";
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const weather = { type: "function", function: { name: "get_weather", description: "The weather of a city", parameters } };
const user = content => [{ role: "user", content }];
const idle = async () => (await (await fetch(url + "/slots")).json()).every(s => !s.is_processing);

const checks = {
  async ollama_abort() {
    const client = new Ollama({ host: url }), stream = await client.chat({ model, stream: true,
      messages: user("Count as far as you can."), options: { num_predict: 4000, temperature: 1.2 } });
    let n = 0;
    await assert.rejects(async () => { for await (const _ of stream) if (++n === 3) client.abort(); }, { name: "AbortError" });
    const end = Date.now() + 1000;
    while (!await idle()) { assert(Date.now() < end, "the slot is still at work after 1 s"); await new Promise(r => setTimeout(r, 20)); }
  },
  async ollama_stream_and_list() {
    const client = new Ollama({ host: url });
    let last;
    for await (const part of await client.chat({ model, messages: user("Hi"), stream: true, options: { num_predict: 20 } })) last = part;
    assert(last.done && last.eval_count > 0 && last.load_duration > 0);
    assert((await client.list()).models.length > 0);
    assert((await client.ps()).models[0].context_length > 0);
  },
  async openai_stream() {
    const stream = await new OpenAI({ baseURL: url + "/v1", apiKey: "local", maxRetries: 0 }).chat.completions.create({
      model, messages: user("Hi"), stream: true, max_tokens: 30, stream_options: { include_usage: true } });
    let usage, text = "";
    for await (const c of stream) { usage = c.usage ?? usage; text += c.choices[0]?.delta.content ?? ""; }
    assert(usage.completion_tokens > 0 && !text.includes("<|"));
  },
  async openai_run_tools() {
    const runner = new OpenAI({ baseURL: scripted + "/v1", apiKey: "local" }).chat.completions.runTools({ model, messages: user(ask),
      tools: [{ type: "function", function: { ...weather.function, parse: JSON.parse, function: ({ city }) => city === "Oslo" ? "RAIN-RESULT" : "?" } }] });
    assert.equal(await runner.finalContent(), "It rains in Oslo.");
  },
  async openai_responses() {
    const client = new OpenAI({ baseURL: url + "/v1", apiKey: "local", maxRetries: 0 });
    const stream = client.responses.stream({ model, input: "Hi", max_output_tokens: 40 });
    let n = 0;
    for await (const e of stream) assert.equal(e.sequence_number, n++);
    assert((await stream.finalResponse()).usage.input_tokens > 0);
  },
  async anthropic_stream() {
    const client = new Anthropic({ baseURL: scripted, apiKey: "local", maxRetries: 0 });
    const m = await client.messages.stream({ model, max_tokens: 500, messages: user(ask),
      tools: [{ name: "get_weather", input_schema: parameters }] }).finalMessage();
    const use = m.content.find(b => b.type === "tool_use");
    assert.deepEqual([use.name, use.input, m.stop_reason], ["get_weather", { city: "Oslo" }, "tool_use"]);
  },
  async ai_sdk() {
    const provider = createOpenAICompatible({ name: "auklet", baseURL: scripted + "/v1", apiKey: "local", includeUsage: true });
    const tools = { get_weather: tool({ description: "The weather of a city", inputSchema: z.object({ city: z.string() }),
      execute: async ({ city }) => city === "Oslo" ? "RAIN-RESULT" : "?" }) };
    const whole = await generateText({ model: provider(model), prompt: ask, tools, stopWhen: stepCountIs(3) });
    assert.equal(whole.text, "It rains in Oslo.");
    const streamed = streamText({ model: provider(model), prompt: ask, tools, stopWhen: stepCountIs(3) });
    let text = "", reasoning = "";
    for await (const part of streamed.fullStream) {
      assert.notEqual(part.type, "error", JSON.stringify(part));
      if (part.type === "text-delta") text += part.text;
      if (part.type === "reasoning-delta") reasoning += part.text;
    }
    assert.equal(text, "It rains in Oslo.");
    assert(reasoning.length > 0, "no reasoning came");
  },
};

let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  try { await check(); console.log("ok     " + name); }
  catch (e) { failed++; console.log("FAILED " + name + "\n" + (e.stack || e)); }
}
console.log(`${Object.keys(checks).length - failed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
