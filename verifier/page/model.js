// The tape: data blocks of this page unpacked into columns.  Nothing here touches what is shown.

const $ = (id) => document.getElementById(id);
const HAS_TEXT = 1,
  REDACTED = 2,
  TRUNCATED = 4,
  MALFORMED = 8,
  ERASED = 16,
  DOUBTFUL = 32,
  SEVERAL = 64;
const FLAGS = [
  [REDACTED, 'redacted'],
  [TRUNCATED, 'truncated'],
  [MALFORMED, 'malformed'],
  [ERASED, 'erased'],
  [DOUBTFUL, 'perhaps not delivered'],
];
const CHUNK = 128;

async function inflate(text) {
  const packed = atob(text),
    raw = new Uint8Array(packed.length);
  for (let i = 0; i < packed.length; i++) raw[i] = packed.charCodeAt(i);
  const stream = new Blob([raw]).stream().pipeThrough(new DecompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
const unpack = async (text) => JSON.parse(new TextDecoder().decode(await inflate(text)));

class Numbers {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }
  next() {
    const bytes = this.bytes;
    let byte = bytes[this.at++],
      found = byte & 127,
      scale = 128;
    while (byte > 127) {
      byte = bytes[this.at++];
      found += (byte & 127) * scale;
      scale *= 128;
    }
    return found;
  }
}

class Packed {
  // Chunks of values, a line each, unpacked when somebody asks.
  constructor(id) {
    this.id = id;
    this.lines = null;
    this.chunks = new Map();
  }
  async get(place) {
    if (!this.lines) this.lines = $(this.id).textContent.split('\n');
    const number = Math.floor(place / CHUNK);
    if (!this.chunks.has(number)) {
      if (this.chunks.size > 60) this.chunks.clear();
      this.chunks.set(number, unpack(this.lines[number]));
    }
    return (await this.chunks.get(number))[place % CHUNK];
  }
}

async function load(place, about) {
  const facts = await unpack($(`facts-${place}`).textContent);
  const columns = {};
  await Promise.all(
    facts.columns.map(async (name) => {
      columns[name] = new Numbers(await inflate($(`${name}-${place}`).textContent));
    }),
  );
  const total = facts.lanes.reduce((sum, lane) => sum + lane[3], 0);
  const e = {
    n: total,
    t: new Float64Array(total),
    kind: new Uint16Array(total),
    conn: new Int32Array(total),
    size: new Float64Array(total),
    seq: new Float64Array(total),
    flags: new Uint8Array(total),
    text: new Int32Array(total),
    lane: new Uint16Array(total),
  };
  const several = new Map();
  let at = 0,
    text = 0;
  const lanes = facts.lanes.map(([name, rule, events, shown, conns], index) => {
    const begin = at;
    let t = 0,
      seq = 0;
    for (const end = at + shown; at < end; at++) {
      e.t[at] = t += columns.dt.next();
      e.seq[at] = seq += columns.seq.next();
      e.kind[at] = columns.kind.next();
      const local = columns.conn.next();
      e.conn[at] = local ? conns[local - 1] : -1;
      e.size[at] = columns.size.next();
      const flags = (e.flags[at] = columns.flags.next());
      e.text[at] = flags & HAS_TEXT ? text++ : -1;
      e.lane[at] = index;
      if (flags & SEVERAL) several.set(at, [columns.extra.next(), columns.extra.next()]);
    }
    return { index, name, rule, events, begin, end: at, conns, runs: [], marks: [], bad: 0 };
  });
  const conns = facts.connections.map(([id, opened, accepted, closed, ending, code, by, status], index) => ({
    index,
    id,
    opened,
    accepted,
    closed: closed ?? facts.end,
    over: closed !== null,
    ending,
    code,
    by,
    status,
  }));
  const runs = facts.runs.map(([lane, span, label, begin, end, how, good], index) => ({
    index,
    lane,
    span,
    label,
    begin,
    end,
    how,
    good,
  }));
  for (const run of runs) lanes[run.lane].runs.push(run);
  for (const lane of lanes) {
    tracks(lane, conns);
    rows(lane);
  }
  const kinds = facts.kinds.map(([name, dir], index) => ({ index, name, dir, count: facts.counts[index] }));
  const tape = {
    place,
    about,
    facts,
    e,
    several,
    lanes,
    conns,
    runs,
    kinds,
    end: facts.end,
    wall: Number(facts.wall),
    marks: facts.marks,
    texts: new Packed(`texts-${place}`),
    heads: new Packed(`heads-${place}`),
  };
  let first = facts.end,
    last = 0;
  for (const conn of conns) {
    first = Math.min(first, conn.opened);
    last = Math.max(last, conn.closed);
  }
  for (const lane of lanes)
    if (lane.end > lane.begin) {
      first = Math.min(first, e.t[lane.begin]);
      last = Math.max(last, e.t[lane.end - 1]);
    }
  tape.busy = last > first ? [first, last] : [0, facts.end]; // before and after, nobody was there
  tape.violations = violations(tape);
  return tape;
}

function tracks(lane, conns) {
  // Connections one after the other share a line; those at once have one each.
  const ends = [];
  lane.track = new Map();
  for (const index of [...lane.conns].sort((a, b) => conns[a].opened - conns[b].opened)) {
    let line = ends.findIndex((end) => end <= conns[index].opened);
    if (line < 0) line = ends.length < 12 ? ends.length : 11;
    ends[line] = Math.max(ends[line] ?? 0, conns[index].closed);
    lane.track.set(index, line);
  }
  lane.tracks = Math.max(1, ends.length);
}

function rows(lane) {
  const ends = [];
  lane.runs.sort((a, b) => a.begin - b.begin);
  for (const run of lane.runs) {
    let row = ends.findIndex((end) => end <= run.begin);
    if (row < 0) row = ends.length < 3 ? ends.length : 2;
    ends[row] = Math.max(ends[row] ?? 0, run.end);
    run.row = row;
  }
  lane.rows = ends.length;
}

function violations(tape) {
  const found = [],
    lanes = new Map();
  for (const lane of tape.lanes) if (!lanes.has(lane.name)) lanes.set(lane.name, lane);
  for (const verdict of tape.about.verdicts)
    for (const one of verdict.violations) {
      const violation = { ...one, contract: verdict.contract, index: found.length, lanes: new Set() };
      violation.examples.forEach((example, place) =>
        example.witness.forEach((record, number) => {
          const lane = lanes.get(record.user);
          if (!lane) return;
          record.lane = lane.index;
          record.at = record.seq === null ? -1 : find(tape.e.seq, lane.begin, lane.end, record.seq);
          const last = number === example.witness.length - 1;
          lane.marks.push({ t: record.t, violation, place, number, at: record.at, last });
          violation.lanes.add(lane.index);
          if (last) lane.bad += 1;
        }),
      );
      found.push(violation);
    }
  for (const lane of tape.lanes) lane.marks.sort((a, b) => a.t - b.t);
  return found;
}

function lower(values, begin, end, wanted) {
  // The first place whose value is not below.
  while (begin < end) {
    const mid = (begin + end) >> 1;
    if (values[mid] < wanted) begin = mid + 1;
    else end = mid;
  }
  return begin;
}
function find(values, begin, end, wanted) {
  const at = lower(values, begin, end, wanted);
  return at < end && values[at] === wanted ? at : -1;
}
