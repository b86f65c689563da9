-- The tape of goldentape, format 1.  docs/tape-format.md explains it for readers in other languages.
-- application_id = 0x676c6474 ("gldt"), user_version = 1.  Times are ns since the tape began (epoch 0) unless said.

CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value ANY
) STRICT, WITHOUT ROWID;

CREATE TABLE epoch (
    epoch INTEGER PRIMARY KEY,          -- 0, 1, ...: one for each start of a recorder on this tape
    recorder TEXT NOT NULL,             -- random id of the recorder's run
    wall INTEGER NOT NULL,              -- Unix time of its begin, ns
    t INTEGER NOT NULL,                 -- its begin in tape time
    first_seq INTEGER NOT NULL,
    upstream TEXT NOT NULL,
    listen TEXT NOT NULL,
    durability TEXT NOT NULL CHECK (durability IN ('process', 'power')),
    insecure INTEGER NOT NULL CHECK (insecure IN (0, 1)),
    redaction_key TEXT NOT NULL,        -- fingerprint of the key, never the key
    software TEXT NOT NULL,
    options TEXT NOT NULL               -- JSON, for people
) STRICT;

CREATE TABLE user (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    rule TEXT NOT NULL,                 -- identity rule that named it; 'connection' where none did
    events INTEGER NOT NULL DEFAULT 0,
    link BLOB NOT NULL                  -- chain value after the user's last event
) STRICT;

CREATE TABLE connection (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,          -- random, unique across tapes
    epoch INTEGER NOT NULL REFERENCES epoch (epoch),
    user INTEGER NOT NULL REFERENCES user (id),
    client TEXT NOT NULL,               -- keyed digest of the client's address
    target TEXT NOT NULL,               -- path and query, redacted
    key TEXT,                           -- Sec-WebSocket-Key
    request TEXT NOT NULL,              -- JSON [[name, value], ...], redacted
    status INTEGER,
    reason TEXT,
    response TEXT NOT NULL DEFAULT '[]',
    body BLOB,                          -- of a refusal
    subprotocol TEXT,
    extensions TEXT,
    credential TEXT NOT NULL CHECK (credential IN ('none', 'malformed', 'expired', 'bad_signature', 'valid')),
    credential_expires INTEGER,         -- Unix seconds
    opened INTEGER NOT NULL,
    accepted INTEGER,
    closed INTEGER,
    close_code INTEGER,
    close_reason TEXT,
    closed_by TEXT CHECK (closed_by IN ('client', 'server', 'recorder')),
    ending TEXT NOT NULL CHECK (ending IN ('clean', 'eof', 'reset', 'refused', 'lost', 'open'))
) STRICT;

CREATE TABLE identity (
    connection INTEGER NOT NULL REFERENCES connection (id),
    seq INTEGER NOT NULL,               -- from this seq on
    user INTEGER NOT NULL REFERENCES user (id),
    rule TEXT NOT NULL,
    credential TEXT NOT NULL,
    expires INTEGER,
    PRIMARY KEY (connection, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE event (
    id INTEGER PRIMARY KEY,             -- user * 2^40 + seq: each user's log is one run of the file
    connection INTEGER NOT NULL REFERENCES connection (id),
    n INTEGER NOT NULL,
    t INTEGER NOT NULL,
    direction INTEGER NOT NULL CHECK (direction BETWEEN 0 AND 1),     -- 0 client to server, 1 server to client
    -- No IN (...) here: SQLite builds its set anew for each row, 2 us an event.
    opcode INTEGER NOT NULL CHECK (opcode = 1 OR opcode = 2 OR opcode BETWEEN 8 AND 10),
    payload ANY,                        -- TEXT where it was text, else BLOB; the commitment where erased
    size INTEGER NOT NULL,
    wire INTEGER NOT NULL,
    frames INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    sha256 BLOB,
    salt BLOB,
    link BLOB NOT NULL
) STRICT;

CREATE TABLE mark (
    seq INTEGER PRIMARY KEY,
    t INTEGER NOT NULL,
    kind TEXT NOT NULL,
    connection INTEGER REFERENCES connection (id),
    data TEXT NOT NULL                  -- JSON
) STRICT;

CREATE TABLE http (
    id INTEGER PRIMARY KEY,
    t INTEGER NOT NULL,
    method TEXT NOT NULL,
    target TEXT NOT NULL,               -- redacted
    status INTEGER
) STRICT;

CREATE VIEW users AS
SELECT u.name AS user, u.rule, u.events,
    (SELECT count(*) FROM connection AS c WHERE c.user = u.id) AS connections
FROM user AS u;

CREATE VIEW connections AS
SELECT c.name AS connection, u.name AS user, c.target, c.status, c.subprotocol, c.extensions, c.credential,
    strftime('%Y-%m-%dT%H:%M:%f', (e.wall - e.t + c.opened) / 1e9, 'unixepoch') AS opened,
    (c.accepted - c.opened) / 1e9 AS handshake_s, (c.closed - c.opened) / 1e9 AS duration_s,
    c.close_code, c.close_reason, c.closed_by, c.ending
FROM connection AS c JOIN user AS u ON u.id = c.user JOIN epoch AS e ON e.epoch = c.epoch;

CREATE VIEW events AS
SELECT v.id & 1099511627775 AS seq, u.name AS user, c.name AS connection, v.n,
    strftime('%Y-%m-%dT%H:%M:%f', (e.wall - e.t + v.t) / 1e9, 'unixepoch') AS time, v.t,
    CASE v.direction WHEN 0 THEN 'c2s' ELSE 's2c' END AS direction,
    CASE v.opcode WHEN 1 THEN 'text' WHEN 2 THEN 'binary' WHEN 8 THEN 'close' WHEN 9 THEN 'ping' ELSE 'pong' END AS opcode,
    CASE WHEN typeof(v.payload) = 'text' AND json_valid(v.payload)
        AND json_type(v.payload) = 'object' THEN json_extract(v.payload, '$.type') END AS type,
    -- Binary as 0x...: Datasette 0.65 cannot show a BLOB in a view.
    CASE typeof(v.payload) WHEN 'text' THEN v.payload ELSE '0x' || lower(hex(v.payload)) END AS payload,
    CASE WHEN typeof(v.payload) = 'text' AND json_valid(v.payload) THEN v.payload END AS json,
    v.size, v.frames, v.flags
FROM event AS v JOIN user AS u ON u.id = v.id >> 40
JOIN connection AS c ON c.id = v.connection JOIN epoch AS e ON e.epoch = c.epoch;
