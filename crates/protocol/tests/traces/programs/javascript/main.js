'use strict';
// Writes the stack of each scenario, and beside it what the live error says: node main.js FOLDER SCENARIO...

const fs = require('fs');
const path = require('path');
const util = require('util');
const { scenarios } = require('./shop');

const calls = new WeakMap();

// Keeps the calls as the engine knows them, and the stack as it would have written it.
Error.prepareStackTrace = (error, sites) => {
  calls.set(error, sites);
  const head = String(error);
  return [head, ...sites.map((site) => `    at ${site}`)].join('\n');
};

function frame(site) {
  if (!site) return null;
  const evaluated = site.isEval() && site.getEvalOrigin();
  const place = evaluated && /\(([^()]+):(\d+):(\d+)\)/.exec(evaluated);
  if (place) return { file: place[1], line: Number(place[2]), column: Number(place[3]) };
  return { file: site.getFileName() || null, line: site.getLineNumber(), column: site.getColumnNumber() };
}

function describe(error, source, out) {
  void error.stack;
  const sites = calls.get(error) || [];
  const message = error.message || null;
  out.push({
    class: error.name,
    message,
    source,
    frame_count: sites.length,
    top: frame(sites[0]),
    bottom: frame(sites.at(-1)),
  });
}

function describeAll(error, source, out) {
  describe(error, source, out);
  if (error.cause) describeAll(error.cause, 'cause', out);
  for (const member of error.errors || []) describeAll(member, 'member', out);
}

async function main(folder, names) {
  for (const name of names) {
    let caught;
    try {
      await scenarios[name]();
    } catch (error) {
      caught = error;
    }
    const alone = [];
    const all = [];
    describe(caught, null, alone);
    describeAll(caught, null, all);
    write(folder, name, caught.stack, alone);
    write(folder, `${name}_inspected`, util.inspect(caught), all);
  }
}

function write(folder, name, text, errors) {
  fs.writeFileSync(path.join(folder, `${name}.txt`), `${text}\n`);
  fs.writeFileSync(path.join(folder, `${name}.json`), `${JSON.stringify({ language: 'javascript', errors }, null, 2)}\n`);
}

main(process.argv[2], process.argv.slice(3));
