// Renders Liquid with liquidjs: a JSON array of templates and data in, one JSON value a line out: the text, or null
// if the template fails.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const load = createRequire(`${process.argv[2]}/`);
const { Liquid } = load('liquidjs');
const engine = new Liquid();
const { templates, data } = JSON.parse(readFileSync(0, 'utf8'));
for (const template of templates) {
  let output = null;
  try {
    output = engine.parseAndRenderSync(template, structuredClone(data));
  } catch {
    // It failed.
  }
  console.log(JSON.stringify(output));
}
