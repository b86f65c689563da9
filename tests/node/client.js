// A client: reads {url, steps, subprotocols, deflate, ca} from a line of stdin, writes its log to stdout.
const WebSocket = require("ws");
const { Keeper, binary, fragments, text } = require("./log.js");

async function run({ url, steps, subprotocols, deflate, ca }) {
  const ws = new WebSocket(url, subprotocols ?? [], {
    perMessageDeflate: deflate ?? true,
    maxPayload: 0,
    ca,
  });
  const keeper = new Keeper(ws);
  let extensions = null;
  ws.once("upgrade", (response) => (extensions = response.headers["sec-websocket-extensions"] ?? null));
  await new Promise((resolve, reject) => {
    ws.once("open", resolve);
    ws.once("error", reject);
  });
  keeper.log.agreed = [ws.protocol || null, extensions];
  for (const [step, ...args] of steps) {
    if (step === "text") {
      ws.send(args[0]);
      keeper.sent("text", args[0]);
    } else if (step === "binary") {
      ws.send(binary(args[0]));
      keeper.sent("binary", binary(args[0]));
    } else if (step === "large") {
      ws.send(text(args[0]));
      keeper.sent("text", text(args[0]));
    } else if (step === "fragments") {
      fragments(ws, args[0]);
      keeper.sent("text", args[0].join(""));
    } else if (step === "ping" || step === "pong") {
      ws[step](args[0]);
      keeper.sent(step, args[0]);
    } else if (step === "expect") {
      await keeper.expect(args[0]);
    } else if (step === "close") {
      if (args[0] === null) ws.close();
      else ws.close(args[0], args[1]);
    } else if (step === "abort") {
      ws._socket.resetAndDestroy();
    } else if (step === "die") {
      process.kill(process.pid, "SIGKILL");
    } else if (step === "ended") {
      await keeper.ended;
    }
  }
  await keeper.ended;
  return keeper.log;
}

// One job at a time.
const lines = require("node:readline").createInterface({ input: process.stdin });
(async () => {
  for await (const line of lines) console.log(JSON.stringify(await run(JSON.parse(line))));
})();
