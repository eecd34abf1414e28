/** What the viewer promises about itself: its weight, its colours, its manners under a strict policy. */

import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { DICTIONARIES } from "../src/i18n";

const VIEWER = join(import.meta.dirname, "..");
const BUDGET_KB = 130;

function sources(folder: string, ending: string): { readonly name: string; readonly text: string }[] {
  return readdirSync(join(VIEWER, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(ending))
    .map((name) => ({ name, text: readFileSync(join(VIEWER, folder, name), "utf8") }));
}

it("weighs at most 130 kB, scripts and styles of the viewer page together, compressed", () => {
  const out = mkdtempSync(join(tmpdir(), "viewer-"));
  try {
    execFileSync(
      "node",
      [join(VIEWER, "node_modules/vite/bin/vite.js"), "build", "--outDir", out, "--logLevel", "error"],
      // What is shipped: for tests, Lit would bring along what it tells developers.
      { cwd: VIEWER, env: { ...process.env, NODE_ENV: "production" } },
    );
    const manifest = JSON.parse(readFileSync(join(out, ".vite/manifest.json"), "utf8")) as Record<string, Chunk>;
    const files = new Set<string>();
    const take = (name: string): void => {
      const chunk = manifest[name]!;
      for (const file of [chunk.file, ...(chunk.css ?? [])]) files.add(file);
      chunk.imports?.forEach(take);
    };
    take("src/viewer.ts");
    const kb = [...files].reduce((sum, file) => sum + gzipSync(readFileSync(join(out, file))).length, 0) / 1000;
    expect(kb).toBeGreaterThan(60);
    expect(kb).toBeLessThanOrEqual(BUDGET_KB);
  } finally {
    rmSync(out, { recursive: true });
  }
}, 60_000);

interface Chunk {
  readonly file: string;
  readonly css?: readonly string[];
  readonly imports?: readonly string[];
}

describe("around the tissue", () => {
  it("every colour is a neutral grey", () => {
    const css = readFileSync(join(VIEWER, "src/style/viewer.css"), "utf8");
    const hex = [...css.matchAll(/#([0-9a-f]{3}|[0-9a-f]{6})\b/gi)].map(([, digits]) =>
      digits!.length === 3 ? [...digits!] : digits!.match(/../g)!,
    );
    const rgb = [...css.matchAll(/rgb\((\d+) (\d+) (\d+)/g)].map(([, ...parts]) => parts);
    expect(hex.length + rgb.length).toBeGreaterThan(20);
    for (const parts of [...hex, ...rgb]) expect(new Set(parts).size, parts.join(" ")).toBe(1);
    expect(css).not.toMatch(/\b(hsl|oklch|lab|lch|color-mix)\(/);
    expect(css).not.toContain("--accent");
  });

  it("nothing moves for longer than 120 ms", () => {
    const css = readFileSync(join(VIEWER, "src/style/viewer.css"), "utf8");
    expect(css).not.toMatch(/@keyframes/);
    for (const [, milliseconds] of css.matchAll(/transition:[^;]*?(\d+)ms/g)) {
      // The tool tips wait before they appear; they do not move.
      expect(css).toMatch(new RegExp(`visibility 0s ${milliseconds}ms`));
    }
  });
});

describe("under a strict content security policy", () => {
  it("no template writes a style attribute, no script writes markup or evaluates text", () => {
    const scripts = sources("src", ".ts");
    expect(scripts.length).toBeGreaterThan(15);
    for (const { name, text } of scripts) {
      expect(text, name).not.toMatch(
        /\sstyle=|(?:inner|outer)HTML\s*\+?=(?!=)|insertAdjacentHTML|unsafeHTML|\beval\(|new Function/,
      );
    }
  });

  it("only the stage knows OpenSeadragon, and the model knows no page", () => {
    for (const { name, text } of sources("src", ".ts")) {
      if (!name.startsWith("stage")) expect(text, name).not.toMatch(/from "openseadragon"/);
      if (name.startsWith("model")) expect(text, name).not.toMatch(/\b(document|window|HTMLElement)\b|from "lit/);
    }
  });
});

it("says the same things in French and English", () => {
  expect(sayings(DICTIONARIES.en).map(([key]) => key)).toEqual(sayings(DICTIONARIES.fr).map(([key]) => key));
  for (const words of Object.values(DICTIONARIES)) {
    for (const [key, word] of sayings(words)) expect(word.trim(), key).not.toBe("");
  }
});

/** Every saying of a dictionary with its name, also those that stand in a table of their own. */
function sayings(words: object, within = ""): [string, string][] {
  return Object.entries(words).flatMap(([key, word]): [string, string][] => {
    if (typeof word === "object") return sayings(word as object, `${key}.`);
    return [[within + key, typeof word === "function" ? (word as (value: never) => string)(2 as never) : word]];
  });
}
