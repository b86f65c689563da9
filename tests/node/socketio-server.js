// A Socket.IO server: echoes, has rooms and acknowledgements.  Writes its port, then one line a closed connection.
const { createServer } = require("node:http");
const { Server } = require("socket.io");

const http = createServer((request, response) => response.end("a page"));
const io = new Server(http, { httpCompression: false, cors: { origin: "*" }, pingInterval: 300, pingTimeout: 20000 });

io.on("connection", (socket) => {
  const got = [];
  socket.on("say", (text, answer) => {
    got.push(text);
    answer(`${text} was heard`);
  });
  socket.on("bytes", (bytes) => {
    got.push(bytes.length);
    socket.emit("bytes", { back: bytes });
  });
  socket.on("join", (room) => {
    socket.join(room);
    io.to(room).emit("joined", room);
  });
  socket.on("disconnect", (reason) =>
    console.log(JSON.stringify({ user: socket.handshake.query.user_id, got, reason, last: socket.conn.transport.name })),
  );
});

io.of("/admin").use((socket, next) => next(socket.handshake.auth.token === "good" ? undefined : new Error("not you")));
io.of("/admin").on("connection", (socket) => {
  socket.emit("welcome");
  socket.on("stats", (answer) => answer({ users: 1, picture: Buffer.from([0, 1, 2]) }));
  socket.on("ask me", (bytes, more, answer) => socket.emit("sure?", bytes, more, (said) => answer(said)));
  socket.on("throw me out", () => socket.disconnect());
});
http.listen(0, "127.0.0.1", () => console.log(JSON.stringify(http.address().port)));
