// A GraphQL server over WebSocket (the npm package graphql-ws): a query, a subscription, an error.  Writes its port.
const { GraphQLObjectType, GraphQLSchema, GraphQLString, GraphQLInt } = require("graphql");
const { useServer } = require("graphql-ws/use/ws");
const { WebSocketServer } = require("ws");

async function* count({ to, every }) {
  for (let n = 1; n <= to; n++) {
    await new Promise((done) => setTimeout(done, every));
    yield { count: n };
  }
}

const args = { to: { type: GraphQLInt }, every: { type: GraphQLInt } };
const schema = new GraphQLSchema({
  query: new GraphQLObjectType({
    name: "Query",
    fields: { hello: { type: GraphQLString, args: { name: { type: GraphQLString } }, resolve: (_, { name }) => `hello ${name}` } },
  }),
  subscription: new GraphQLObjectType({
    name: "Subscription",
    fields: { count: { type: GraphQLInt, args, subscribe: (_, wanted) => count(wanted) } },
  }),
});

const server = new WebSocketServer({ port: 0, host: "127.0.0.1", path: "/graphql" });
useServer({ schema, connectionInitWaitTimeout: 300, onConnect: ({ connectionParams }) => connectionParams?.token !== "bad" }, server);
server.on("listening", () => console.log(JSON.stringify(server.address().port)));
