// A server: writes its port, then [user, log] for each connection that is over.  What it does: tests/interop/servers.py.
const { WebSocketServer } = require("ws");
const { Keeper, binary, fragments, text } = require("./log.js");

const options = JSON.parse(process.argv[2] ?? "{}");
const server = new WebSocketServer({
  host: "127.0.0.1",
  port: 0,
  maxPayload: 0,
  perMessageDeflate: options.deflate ?? true,
  handleProtocols: (wanted) => [...wanted].find((name) => name === "b" || name === "c") ?? false,
});
server.on("headers", (headers) => headers.push("Set-Cookie: visit=first"));
server.on("listening", () => console.log(JSON.stringify(server.address().port)));

server.on("connection", (ws, request) => {
  const keeper = new Keeper(ws);
  const user = new URL(request.url, "http://x").searchParams.get("user_id");
  keeper.ended.then(() => console.log(JSON.stringify([user, keeper.log])));
  const send = (what, payload) => {
    ws.send(payload, { binary: what === "binary" });
    keeper.sent(what, payload);
  };
  ws.on("message", (data, isBinary) => {
    if (isBinary) return send("binary", data);
    const said = data.toString();
    if (!said.startsWith("!")) return send("text", said);
    const [[order, value]] = Object.entries(JSON.parse(said.slice(1)));
    if (order === "send") send(value[0], value[0] === "binary" ? binary(value[1]) : text(value[1]));
    else if (order === "ping" || order === "pong") {
      ws[order](value);
      keeper.sent(order, value);
    } else if (order === "fragments") {
      fragments(ws, value);
      keeper.sent("text", value.join(""));
    } else if (order === "close") {
      ws.close(...value);
    } else if (order === "reset") {
      ws._socket.resetAndDestroy();
    } else if (order === "drop") {
      ws._socket.end();
    } else if (order === "die") {
      process.kill(process.pid, "SIGKILL");
    }
  });
});
