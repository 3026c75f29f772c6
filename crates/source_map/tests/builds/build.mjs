// Makes the builds beside it: see README.md.
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import vm from "node:vm";
import { eachMapping, originalPositionFor, TraceMap } from "@jridgewell/trace-mapping";
import { build } from "esbuild";
import { minify } from "terser";

const here = dirname(fileURLToPath(import.meta.url));
const work = `${here}/work`; // the same for both, as a checkout is
const bundle = { absWorkingDir: work, entryPoints: ["src/main.js"], bundle: true, charset: "utf8", sourcemap: true, format: "iife" };

function checkOut(version) {
  rmSync(work, { recursive: true, force: true });
  cpSync(`${here}/source/${version}`, `${work}/src`, { recursive: true });
  writeFileSync(`${work}/package.json`, '{"type":"module"}');
}

for (const version of ["one", "two"]) {
  checkOut(version);
  await build({ ...bundle, minify: true, outfile: "static/app.min.js" });
  cpSync(`${work}/static`, `${here}/esbuild-${version}/static`, { recursive: true });
}
checkOut("two");
await build({ ...bundle, outfile: "app.js" });
const small = await minify(
  { "app.js": readFileSync(`${work}/app.js`, "utf8") },
  {
    sourceMap: { content: readFileSync(`${work}/app.js.map`, "utf8"), filename: "app.min.js", url: "app.min.js.map", includeSources: true },
    mangle: { toplevel: true },
    compress: false,
  },
);
mkdirSync(`${here}/terser/static`, { recursive: true });
writeFileSync(`${here}/terser/static/app.min.js`, `${small.code}\n`);
writeFileSync(`${here}/terser/static/app.min.js.map`, small.map);
rmSync(work, { recursive: true, force: true });

for (const name of ["esbuild-one", "esbuild-two", "terser"]) {
  const map = new TraceMap(readFileSync(`${here}/${name}/static/app.min.js.map`, "utf8"));
  const places = [];
  eachMapping(map, ({ generatedLine, generatedColumn }) => {
    for (const column of [generatedColumn, generatedColumn + 1]) {
      const at = originalPositionFor(map, { line: generatedLine, column });
      if (at.source) places.push([generatedLine, column + 1, at.source, at.line, at.column + 1, at.name]);
    }
  });
  writeFileSync(`${here}/${name}/places.json`, `[\n${places.map((place) => JSON.stringify(place)).join(",\n")}\n]\n`);

  vm.runInThisContext(readFileSync(`${here}/${name}/static/app.min.js`, "utf8"), { filename: "https://shop.example/static/app.min.js" });
  try {
    globalThis.checkout({ items: [{ price: 1.5 }] });
  } catch (error) {
    const lines = error.stack.split("\n").filter((line, n) => n === 0 || line.includes("shop.example"));
    writeFileSync(`${here}/${name}/stack.txt`, `${lines.join("\n")}\n`);
  }
}
