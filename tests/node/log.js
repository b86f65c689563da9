// What a peer keeps of a connection, as tests/interop/harness.py describes it.
const { createHash } = require("node:crypto");

function entry(what, payload) {
  const raw = Buffer.from(payload);
  return [what, raw.length, createHash("sha256").update(raw).digest("hex").slice(0, 16)];
}

function text(size) {
  let out = "";
  for (let i = 0; out.length < size; i++) out += `frame ${i}, Grüße\n`;
  return out.slice(0, size);
}

function binary(size) {
  const out = Buffer.alloc(size);
  let x = size | 1;
  for (let i = 0; i < size; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    out[i] = x >>> 24;
  }
  return out;
}

class Keeper {
  constructor(ws) {
    this.log = { sent: [], got: [] };
    this.waiting = [];
    ws.on("message", (data, isBinary) => this.got(isBinary ? "binary" : "text", data));
    ws.on("ping", (data) => this.got("ping", data));
    ws.on("pong", (data) => this.got("pong", data));
    ws.on("error", () => {});
    this.ended = new Promise((resolve) =>
      ws.on("close", (code, reason) => {
        this.log.got.push(["end", code, reason.toString()]);
        this.wake(true);
        resolve();
      }),
    );
  }

  sent(what, payload) {
    this.log.sent.push(entry(what, payload));
  }

  got(what, payload) {
    this.log.got.push(entry(what, payload));
    this.wake(false);
  }

  wake(all) {
    this.waiting = this.waiting.filter(([count, resolve]) => {
      if (!all && this.messages() < count) return true;
      resolve();
      return false;
    });
  }

  messages() {
    return this.log.got.filter(([what]) => what === "text" || what === "binary").length;
  }

  // Wait until so many messages were got.
  expect(count) {
    if (this.messages() >= count) return Promise.resolve();
    return new Promise((resolve) => this.waiting.push([count, resolve]));
  }
}

// Send a message in several frames.
function fragments(ws, parts) {
  parts.forEach((part, i) => ws.send(part, { fin: i === parts.length - 1, binary: false }));
}

module.exports = { Keeper, binary, entry, fragments, text };
