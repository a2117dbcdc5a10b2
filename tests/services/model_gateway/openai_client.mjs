// What OpenAI's client for Node does with a gateway: `node … MODULE GATEWAY LOSSY_GATEWAY`, one JSON object out.
import { createRequire } from "node:module";

const [, , folder, url, lossyUrl] = process.argv;
const OpenAI = createRequire(`${folder}/`)("openai");
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none" });
const lossy = new OpenAI({ baseURL: `${lossyUrl}/v1`, apiKey: "none", timeout: 2000, maxRetries: 2 });
const asked = { model: "tickets", messages: [{ role: "user", content: "Where is my money?" }] };
const refused = async (promise) => {
  try {
    await promise;
  } catch (error) {
    const { status, code, param, type, message } = error;
    return { name: error.constructor.name, status, code, param, type, message };
  }
};

const { data: chat, response } = await client.chat.completions
  .create({ ...asked, logprobs: true, top_logprobs: 3 })
  .withResponse();
const completion = await client.completions.create({ model: "tickets", prompt: [asked.messages[0].content] });
const chunks = [];
const stream = await client.chat.completions.create({
  ...asked,
  stream: true,
  stream_options: { include_usage: true },
});
for await (const chunk of stream) chunks.push(chunk);
const models = [];
for await (const model of client.models.list()) models.push(model.id);
const key = { headers: { "Idempotency-Key": "from-node" } };

console.log(
  JSON.stringify({
    chat,
    header: response.headers.get("x-tuneloop-prediction-id"),
    completion,
    streamed: chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""),
    usage: chunks.at(-1).usage,
    models,
    model: await client.models.retrieve("tickets"),
    unknown: await refused(client.models.retrieve("gpt-4")),
    tools: await refused(
      client.chat.completions.create({ ...asked, tools: [{ type: "function", function: { name: "f" } }] }),
    ),
    lost: await lossy.chat.completions.create(asked),
    keyed: [await client.chat.completions.create(asked, key), await client.chat.completions.create(asked, key)],
  }),
);
