// Chromium for tests/tests/browsers.rs: commands come as lines of JSON on the standard input, and what happens in the pages
// goes out as lines of JSON on the standard output. The browser ends with the input.
//
//   {"do":"open","tab":1,"settings":{...}}   a page with one telephone
//   {"do":"call","tab":1,"method":"ping","arguments":[]}   a function of that telephone
//   {"do":"reload","tab":1,"settings":{...}}   the page is loaded again: its telephone goes without a word, and comes back
//   {"do":"close","tab":1}   the page goes away without a word

import { createServer } from "node:http";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { chromium } from "playwright-core";

const here = dirname(fileURLToPath(import.meta.url));
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);

const bundle = await build({
  entryPoints: [join(here, "phones.js")],
  bundle: true,
  write: false,
  format: "iife",
  define: { global: "globalThis" },
  logLevel: "silent",
});
const script = bundle.outputFiles[0].text;

const web = createServer((request, response) => {
  if (request.url === "/phones.js") {
    response.setHeader("Content-Type", "text/javascript; charset=utf-8");
    response.end(script);
  } else {
    response.setHeader("Content-Type", "text/html; charset=utf-8");
    response.end('<!doctype html><title>telephone</title><link rel="icon" href="data:,"><script src="/phones.js"></script>');
  }
});
await new Promise((done) => web.listen(0, "127.0.0.1", done));

const profile = mkdtempSync(join(tmpdir(), "strowger-chromium-"));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  headless: true,
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    // Background tabs would have their timers slowed down.
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    // The tests' certificate is its own authority.
    "--ignore-certificate-errors",
    ...(process.env.CHROMIUM_ARGUMENT ? [process.env.CHROMIUM_ARGUMENT] : []),
  ],
});

const tabs = new Map();

async function open(tab, settings) {
  const page = await context.newPage();
  tabs.set(tab, page);
  page.on("websocket", (socket) => {
    const frame = (direction) => (data) => {
      const text = String(data.payload);
      say({ tab, event: "frame", direction, text: text.trim() === "" ? JSON.stringify(text) : text.split("\r\n", 1)[0] });
    };
    socket.on("framesent", frame("sent"));
    socket.on("framereceived", frame("received"));
  });
  page.on("pageerror", (error) => say({ tab, event: "error", text: String(error) }));
  await page.exposeFunction("report", (detail) => say({ tab, ...detail }));
  await page.goto(`http://localhost:${web.address().port}/`);
  await page.evaluate((s) => window.start(s), settings);
}

async function obey(command) {
  const page = tabs.get(command.tab);
  if (command.do === "open") {
    await open(command.tab, command.settings);
  } else if (command.do === "call") {
    await page.evaluate(([name, args]) => void window.phone[name](...args), [command.method, command.arguments]);
  } else if (command.do === "reload") {
    await page.reload();
    await page.evaluate((settings) => window.start(settings), command.settings);
  } else if (command.do === "close") {
    tabs.delete(command.tab);
    await page.close();
  }
}

say({ event: "ready" });
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  await obey(command).catch((error) => say({ tab: command.tab, event: "error", text: String(error) }));
}
await context.close().catch(() => {});
web.close();
rmSync(profile, { recursive: true, force: true });
process.exit(0);
