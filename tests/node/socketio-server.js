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
http.listen(0, "127.0.0.1", () => console.log(JSON.stringify(http.address().port)));
