// A Socket.IO client with namespaces: reads {url, user} from a line of stdin, talks, writes what it got.
const { io } = require("socket.io-client");

function joined(socket) {
  return new Promise((resolve) => {
    socket.on("connect", () => resolve("joined"));
    socket.on("connect_error", (error) => resolve(error.message));
  });
}

async function talk({ url, user }) {
  const options = { transports: ["websocket"], query: { user_id: user }, reconnection: false };
  const main = io(url, { ...options, forceNew: true });
  const got = [await joined(main)];
  const manager = main.io;
  const refused = manager.socket("/admin", { auth: { token: "bad" } });
  got.push(await joined(refused));
  refused.auth = { token: "good" };
  const welcome = new Promise((done) => refused.once("welcome", done));
  refused.on("sure?", (bytes, more, answer) => answer(bytes.length + more.length));
  got.push(await joined(refused.connect()));
  await welcome;
  got.push((await refused.emitWithAck("stats")).picture.length);
  got.push(await refused.emitWithAck("ask me", Buffer.alloc(3), Buffer.alloc(0)));
  got.push(await main.emitWithAck("say", "while both are open"));
  const out = new Promise((done) => refused.once("disconnect", done));
  refused.emit("throw me out");
  got.push(await out);
  got.push(await joined(refused.connect()));
  refused.disconnect();
  got.push(await main.emitWithAck("say", "at last"));
  for (let i = 0; i < 2; i++) await new Promise((done) => manager.engine.once("ping", done));
  main.disconnect();
  return got;
}

require("node:readline")
  .createInterface({ input: process.stdin })
  .on("line", async (line) => console.log(JSON.stringify(await talk(JSON.parse(line)))));
