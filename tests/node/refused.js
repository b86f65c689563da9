// A client that is refused: reads a URL from a line of stdin, writes [status, headers, body].
const WebSocket = require("ws");

require("node:readline")
  .createInterface({ input: process.stdin })
  .on("line", (line) => {
    const ws = new WebSocket(JSON.parse(line));
    ws.on("error", (error) => console.log(JSON.stringify([String(error)])));
    ws.on("unexpected-response", (_, response) => {
      let body = "";
      response.on("data", (chunk) => (body += chunk));
      response.on("end", () => console.log(JSON.stringify([response.statusCode, response.rawHeaders, body])));
    });
  });
