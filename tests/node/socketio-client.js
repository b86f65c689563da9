// A Socket.IO client: reads {url, transports, user} from a line of stdin, talks, writes what it got.
const { io } = require("socket.io-client");

function talk({ url, transports, user }) {
  return new Promise((resolve) => {
    const got = [];
    const socket = io(url, { transports, query: { user_id: user }, reconnection: false, forceNew: true });
    socket.on("connect_error", (error) => resolve({ got, error: String(error) }));
    socket.on("joined", (room) => got.push(["joined", room]));
    socket.on("disconnect", (reason) => resolve({ got, reason }));
    socket.on("connect", async () => {
      const upgraded = transports.includes("websocket") && transports[0] === "polling";
      if (upgraded && socket.io.engine.transport.name === "polling")
        await new Promise((done) => socket.io.engine.once("upgrade", done));
      got.push(["transport", socket.io.engine.transport.name]);
      for (let i = 0; i < 20; i++) got.push(await socket.emitWithAck("say", `number ${i} Grüße ${"x".repeat(i * 300)}`));
      const bytes = new Promise((done) => socket.once("bytes", done));
      socket.emit("bytes", Buffer.alloc(70000, 7));
      got.push(["bytes", (await bytes).back.length]);
      socket.emit("join", "room");
      await new Promise((done) => socket.once("joined", done));
      // Two of the server's pings.
      for (let i = 0; i < 2; i++) await new Promise((done) => socket.io.engine.once("ping", done));
      socket.disconnect();
    });
  });
}

require("node:readline")
  .createInterface({ input: process.stdin })
  .on("line", async (line) => console.log(JSON.stringify(await talk(JSON.parse(line)))));
