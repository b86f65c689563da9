// A GraphQL client over WebSocket (the npm package graphql-ws): reads {url, user} from a line of stdin, talks as an
// application does, and as one that does all wrong; writes what it got.
const { createClient } = require("graphql-ws");
const { WebSocket } = require("ws");

function ask(client, query, variables, stopAfter) {
  return new Promise((resolve) => {
    const got = [];
    const stop = client.subscribe(
      { query, variables },
      {
        next: (result) => {
          got.push(result.data);
          if (got.length === stopAfter) stop();
        },
        error: (error) => resolve([...got, "error"]),
        complete: () => resolve(got),
      },
    );
  });
}

// What a client must not do: each list of messages ends in a close by the server, whose code is the answer.
const WRONG = {
  none: [],
  twice: [{ type: "connection_init" }, { wait: "connection_ack" }, { type: "connection_init" }],
  early: [{ id: "1", type: "subscribe", payload: { query: "{ hello }" } }],
  shared: [
    { type: "connection_init" },
    { wait: "connection_ack" },
    { id: "1", type: "subscribe", payload: { query: "subscription { count(to: 9, every: 50) }" } },
    { wait: "next" },
    { id: "1", type: "subscribe", payload: { query: "{ hello }" } },
  ],
  nonsense: [{ type: "connection_init" }, { wait: "connection_ack" }, { type: "hello" }],
};

function misbehave(url, messages) {
  return new Promise((resolve) => {
    const socket = new WebSocket(url, "graphql-transport-ws");
    const left = [...messages];
    const go = (type) => {
      if (left[0]?.wait && left[0].wait === type) left.shift();
      while (left.length && !left[0].wait) socket.send(JSON.stringify(left.shift()));
    };
    socket.on("open", () => go());
    socket.on("message", (text) => go(JSON.parse(text).type));
    socket.on("close", (code) => resolve(code));
  });
}

async function talk({ url, user }) {
  const at = `${url}?user_id=${user}`;
  const client = createClient({ url: at, webSocketImpl: WebSocket, lazy: false, connectionParams: { token: "good" }, keepAlive: 100 });
  const got = await Promise.all([
    ask(client, "query Q($name: String) { hello(name: $name) }", { name: "Grüße" }),
    ask(client, "{ nope }"),
    ask(client, "subscription { count(to: 5, every: 20) }"),
    ask(client, "subscription { count(to: 1000, every: 10) }", undefined, 3),
    ask(client, "mutation { nope }"),
  ]);
  await new Promise((done) => setTimeout(done, 250));
  await client.dispose();
  const refused = createClient({ url: at, webSocketImpl: WebSocket, connectionParams: { token: "bad" }, retryAttempts: 0 });
  got.push(await ask(refused, "{ hello }"));
  const codes = {};
  for (const [name, messages] of Object.entries(WRONG)) codes[name] = await misbehave(at, messages);
  return { got, codes };
}

require("node:readline")
  .createInterface({ input: process.stdin })
  .on("line", async (line) => console.log(JSON.stringify(await talk(JSON.parse(line)))));
