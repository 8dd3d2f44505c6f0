// Renders Liquid with brazejs, whose `connected_content` makes real calls: one JSON object a line in,
// one a line out, as `render.rb` does. The first argument is the directory where brazejs is installed.
import { subscribe } from 'node:diagnostics_channel';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const load = createRequire(join(process.argv[2], 'package.json'));
const { default: Liquid } = load('brazejs');
// What brazejs calls with: it keeps answers by URL for five minutes.
const { cache } = load('request-promise-cache');
const engine = new Liquid();

// brazejs keeps what it saw to itself; Node tells of every answer that its HTTP client gets.
let calls = [];
subscribe('http.client.response.finish', ({ request, response }) => {
  const encoding = response.headers['content-encoding'] ?? null;
  calls.push({ method: request.method, status: response.statusCode, encoding });
});
// It prints the URL and the body of a refusal: nothing of that belongs in a log.
console.error = () => {};

async function render({ template, variables, secrets }) {
  calls = [];
  cache.clear();
  let output = null;
  let aborted = null;
  try {
    // Not `parseAndRender`: it returns the reason of an abort as if it were the message.
    output = await engine.render(await engine.parse(template), { ...variables, __secrets: secrets });
  } catch (error) {
    // Ruby's engine prints errors into the message too.
    if (error.name === 'AbortError') aborted = error.message;
    else output = `Liquid error: ${error.message}`;
  }
  return { output, aborted, calls };
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await render(JSON.parse(line)))}\n`);
}
