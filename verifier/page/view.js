// What is drawn: lanes of users over a common time axis on one canvas, and the overview above it.

const LIGHT = ['#2f6fdb', '#0f9d8a', '#8a5cd6', '#c77700', '#4a8f2c', '#b8459b', '#1a8fc4', '#857000', '#5566c4', '#8b5a3c'];
const DARK = ['#6ea8ff', '#3fd0b8', '#b695ff', '#f0aa3c', '#86cf5f', '#f08cd0', '#5cc4f2', '#d6c24a', '#9caaf5', '#d6a27e'];
const CONTROL = new Set(['ping', 'pong', 'close']);
const HEIGHTS = [3, 5, 8, 14, 22, 32, 44];
const AXIS = 26;
const SANS = 'system-ui, -apple-system, "Segoe UI", Roboto, sans-serif', MONO = 'ui-monospace, Menlo, Consolas, monospace';

const view = {
  tape: null, a: 0, b: 1, height: 3, gutter: 196, width: 0, tall: 0, lanes: [], total: 0, top: 0, hover: null, dirty: false,
  colours: {}, hues: [], shown: null, find: { kinds: null, lanes: null, bad: null, windows: null }, chosen: null,
};

function paint() {  // Read the theme's colours, and give each kind of event its own.
  const style = getComputedStyle(document.documentElement);
  for (const name of ['bg', 'panel', 'line', 'faint', 'ink', 'soft', 'dim', 'accent', 'accent-soft', 'bad', 'bad-soft', 'warn', 'conn', 'conn-edge',
    'run', 'run-open', 'zebra', 'gutter', 'good']) view.colours[name] = style.getPropertyValue(`--${name}`).trim();
  const hues = document.documentElement.classList.contains('dark') ? DARK : LIGHT;
  const names = new Map();
  if (!view.tape) return;
  for (const kind of view.tape.kinds) if (!CONTROL.has(kind.name)) names.set(kind.name, (names.get(kind.name) ?? 0) + kind.count);
  const ranked = [...names].sort((a, b) => b[1] - a[1]).map(([name]) => name);
  view.hues = view.tape.kinds.map(({ name }) => {
    const rank = ranked.indexOf(name);
    return rank >= 0 && rank < hues.length ? hues[rank] : view.colours.dim;
  });
}

function arrange() {  // Which lanes there are, in which order, and where.
  const { tape, find } = view, order = $('order').value;
  const lanes = tape.lanes.filter((lane) => (!find.lanes || find.lanes.has(lane.index)) && (!$('only').checked || lane.bad));
  if (order === 'bad') lanes.sort((a, b) => b.bad - a.bad || a.index - b.index);
  if (order === 'busy') lanes.sort((a, b) => b.events - a.events || a.index - b.index);
  if (order === 'name') lanes.sort((a, b) => (a.name < b.name ? -1 : 1));
  const size = HEIGHTS[view.height];
  let y = AXIS;
  view.lanes = lanes.map((lane) => {
    const small = size < 14, band = small ? 0 : Math.min(lane.rows, 3) * runHeight();
    const tall = small ? size : band + Math.min(lane.tracks, 12) * size + 8;
    const placed = { lane, y, tall, band, size, small };
    y += tall + (size < 8 ? 0 : 1);
    return placed;
  });
  view.where = new Map(view.lanes.map((placed) => [placed.lane.index, placed]));
  view.total = y + 12;
  $('empty').hidden = lanes.length > 0;
}

const runHeight = () => (view.height >= 5 ? 15 : view.height >= 4 ? 8 : 4);
const x = (t) => view.gutter + (t - view.a) / (view.b - view.a) * (view.width - view.gutter);
const time = (px) => view.a + (px - view.gutter) / (view.width - view.gutter) * (view.b - view.a);
const clip = (value, low, high) => Math.max(low, Math.min(high, value));

function redraw() {
  if (view.dirty) return;
  view.dirty = true;
  requestAnimationFrame(() => { view.dirty = false; if (view.tape) { draw(); overview(); } });
}

function fitCanvas(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio);
    canvas.style.width = `${width}px`; canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext('2d');
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

function draw() {
  const scroller = $('scroller'), c = view.colours;
  view.width = scroller.clientWidth; view.tall = scroller.clientHeight; view.top = scroller.scrollTop;
  view.gutter = view.width < 600 ? 96 : 196;
  $('spacer').style.height = `${Math.max(0, view.total - view.tall)}px`;
  const ctx = fitCanvas($('canvas'), view.width, view.tall);
  ctx.fillStyle = c.bg; ctx.fillRect(0, 0, view.width, view.tall);
  const step = grid(ctx);
  ctx.save(); ctx.beginPath(); ctx.rect(0, AXIS, view.width, view.tall); ctx.clip();
  const visible = view.lanes.filter((p) => p.y + p.tall >= view.top + AXIS && p.y <= view.top + view.tall);
  view.visible = visible;
  for (const placed of visible) lane(ctx, placed);
  for (const placed of visible) marks(ctx, placed);
  chosen(ctx);
  ctx.restore();
  for (const placed of visible) label(ctx, placed);
  ctx.fillStyle = c.gutter; ctx.fillRect(0, 0, view.gutter, AXIS);
  axis(ctx, step);
  if (view.hover && view.hover.x > view.gutter) {
    ctx.strokeStyle = c.dim; ctx.setLineDash([2, 3]); ctx.beginPath();
    ctx.moveTo(view.hover.x + .5, AXIS); ctx.lineTo(view.hover.x + .5, view.tall); ctx.stroke(); ctx.setLineDash([]);
    badge(ctx, view.hover.x, clock(time(view.hover.x), (view.b - view.a) / 200));
  }
}

const UNITS = [10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400].map((s) => s * 1e6);
function niceStep(span, count) {
  const rough = span / count, long = UNITS.find((step) => step >= rough);
  if (rough > 5e6 && long) return long;
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((m) => m * power).find((step) => step >= rough);
}
function grid(ctx) {
  const step = niceStep(view.b - view.a, Math.max(2, (view.width - view.gutter) / 110));
  ctx.strokeStyle = view.colours.line; ctx.lineWidth = 1; ctx.beginPath();
  for (let t = Math.ceil(view.a / step) * step; t <= view.b; t += step) {
    const at = Math.round(x(t)) + .5;
    ctx.moveTo(at, AXIS); ctx.lineTo(at, view.tall);
  }
  ctx.stroke();
  return step;
}
function axis(ctx, step) {
  const c = view.colours;
  ctx.fillStyle = c.panel; ctx.fillRect(view.gutter, 0, view.width, AXIS);
  ctx.fillStyle = c.line; ctx.fillRect(0, AXIS - 1, view.width, 1); ctx.fillRect(view.gutter, 0, 1, view.tall);
  ctx.font = `11px ${SANS}`; ctx.textBaseline = 'middle'; ctx.fillStyle = c.soft; ctx.textAlign = 'center';
  for (let t = Math.ceil(view.a / step) * step; t <= view.b; t += step) {
    const at = x(t);
    if (at > view.gutter + 24 && at < view.width - 24) ctx.fillText(clock(t, step), at, AXIS / 2);
  }
  for (const [t, kind] of view.tape.marks) {
    if (t < view.a || t > view.b || kind === 'begin' || kind === 'end') continue;
    const at = x(t);
    ctx.fillStyle = c.warn; ctx.fillRect(at, 0, 1, AXIS);
    ctx.beginPath(); ctx.moveTo(at, 0); ctx.lineTo(at + 7, 0); ctx.lineTo(at, 8); ctx.fill();
  }
  ctx.textAlign = 'left'; ctx.fillStyle = c.dim;
  ctx.fillText(`${view.lanes.length.toLocaleString('en')} user${view.lanes.length === 1 ? '' : 's'}`, 14, AXIS / 2);
}
function badge(ctx, at, text) {
  ctx.font = `600 11px ${SANS}`;
  const wide = ctx.measureText(text).width + 12, left = clip(at - wide / 2, view.gutter, view.width - wide);
  ctx.fillStyle = view.colours.ink; round(ctx, left, 3, wide, AXIS - 8, 5); ctx.fill();
  ctx.fillStyle = view.colours.panel; ctx.textAlign = 'left'; ctx.textBaseline = 'middle'; ctx.fillText(text, left + 6, AXIS / 2 - 1);
}
function round(ctx, left, top, wide, tall, radius) {
  ctx.beginPath(); ctx.roundRect(left, top, Math.max(.5, wide), tall, Math.max(0, Math.min(radius, wide / 2, tall / 2)));
}

function lane(ctx, placed) {
  const { lane, size, small, band } = placed, top = placed.y - view.top, c = view.colours;
  if (!small && view.lanes.indexOf(placed) % 2) { ctx.fillStyle = c.zebra; ctx.globalAlpha = .55; ctx.fillRect(view.gutter, top, view.width, placed.tall); ctx.globalAlpha = 1; }
  if (size >= 8) { ctx.fillStyle = c.line; ctx.fillRect(0, top + placed.tall, view.width, 1); }
  if (!small) runs(ctx, placed, top);
  for (const index of lane.conns) connection(ctx, placed, view.tape.conns[index], top + (small ? 0 : band + 4));
  if (small) heat(ctx, placed, top); else events(ctx, placed, top + band + 4);
}

function runs(ctx, placed, top) {
  const tall = runHeight(), c = view.colours;
  ctx.font = `10.5px ${SANS}`; ctx.textBaseline = 'middle'; ctx.textAlign = 'left';
  for (const run of placed.lane.runs) {
    if (run.end < view.a || run.begin > view.b) continue;
    const left = Math.max(x(run.begin), view.gutter - 4), right = Math.min(x(run.end), view.width + 4);
    const y = top + 2 + run.row * tall;
    ctx.fillStyle = run.good ? c.run : c['run-open'];
    round(ctx, left, y, Math.max(2, right - left), tall - 2, 4); ctx.fill();
    if (tall >= 15 && right - left > 46) {
      ctx.save(); ctx.beginPath(); ctx.rect(left + 5, y, right - left - 9, tall); ctx.clip();
      ctx.fillStyle = c.ink; ctx.globalAlpha = .78;
      ctx.fillText(`${run.span} ${run.label}${run.how ? ` · ${run.how}` : ''}`, left + 6, y + tall / 2 - .5);
      ctx.restore();
    }
  }
}

function connection(ctx, placed, conn, top) {
  if (conn.closed < view.a || conn.opened > view.b) return;
  const { size, small, lane } = placed, c = view.colours;
  const y = small ? top : top + lane.track.get(conn.index) * size, tall = small ? Math.max(1, size - 1) : size;
  const left = Math.max(x(conn.opened), view.gutter - 6), right = Math.min(x(conn.closed), view.width + 6);
  const accepted = conn.accepted === null ? right : Math.max(left, Math.min(x(conn.accepted), right));
  const refused = conn.accepted === null;
  ctx.fillStyle = refused ? c['bad-soft'] : c.conn;
  if (small) { ctx.globalAlpha = .7; ctx.fillRect(left, y, Math.max(1, right - left), tall); ctx.globalAlpha = 1; return; }
  const inset = Math.max(2, tall * .16), h = tall - 2 * inset;
  round(ctx, left, y + inset, Math.max(3, right - left), h, 5); ctx.fill();
  ctx.strokeStyle = refused ? c.bad : c['conn-edge']; ctx.lineWidth = 1; ctx.stroke();
  if (accepted - left > 1.5 && !refused) {  // the handshake
    ctx.save(); round(ctx, left, y + inset, right - left, h, 5); ctx.clip();
    ctx.fillStyle = c.warn; ctx.globalAlpha = .28; ctx.fillRect(left, y + inset, accepted - left, h); ctx.restore();
  }
  if (conn.over && x(conn.closed) <= view.width + 6 && conn.ending !== 'clean') {
    ctx.fillStyle = conn.ending === 'refused' ? c.bad : c.warn;
    ctx.fillRect(right - 2.5, y + inset - 1, 3, h + 2);
  }
}

function heat(ctx, placed, top) {  // A lane of a few pixels: how much there was, not what.
  const { lane, size } = placed, { t, kind } = view.tape.e, wide = view.width - view.gutter, shown = view.find.kinds;
  const begin = lower(t, lane.begin, lane.end, view.a), end = lower(t, begin, lane.end, view.b + 1);
  const scale = wide / (view.b - view.a), cells = new Uint16Array(Math.ceil(wide / 2) + 1);
  const win = view.find.windows?.get(lane.index);
  for (let i = begin; i < end; i++) {
    if ((shown && !shown[kind[i]]) || (win && !within(win, t[i]))) continue;
    const count = view.tape.e.flags[i] & SEVERAL ? view.tape.several.get(i)[0] : 1;
    cells[(t[i] - view.a) * scale >> 1] += count;
  }
  ctx.fillStyle = view.colours.accent;
  const tall = Math.max(1, size - 1);
  let from = 0, level = 0;
  for (let px = 0; px <= cells.length; px++) {
    const count = px < cells.length ? cells[px] : 0;
    const next = count ? Math.min(8, 2 + (32 - Math.clz32(count))) : 0;
    if (next === level) continue;
    if (level) { ctx.globalAlpha = level / 8; ctx.fillRect(view.gutter + from * 2, top, (px - from) * 2, tall); }
    from = px; level = next;
  }
  ctx.globalAlpha = 1;
}

const within = (windows, t) => windows.some(([begin, end]) => t >= begin && t <= end);

function events(ctx, placed, top) {
  const { lane, size } = placed, { tape } = view, { t, kind, conn, flags } = tape.e, shown = view.find.kinds;
  const begin = lower(t, lane.begin, lane.end, view.a), end = lower(t, begin, lane.end, view.b + 1);
  const roomy = (view.width - view.gutter) / Math.max(1, end - begin), named = size >= 22 && roomy > 9;
  const last = new Map(), win = view.find.windows?.get(lane.index), labels = [];
  const wide = roomy > 30 ? 6 : roomy > 8 ? 4 : 2;
  for (let i = begin; i < end; i++) {
    if ((shown && !shown[kind[i]]) || (win && !within(win, t[i]))) continue;
    const server = tape.kinds[kind[i]].dir, track = lane.track.get(conn[i]) ?? 0, slot = track * 2 + server, at = x(t[i]);
    const control = CONTROL.has(tape.kinds[kind[i]].name);
    const key = last.get(slot);
    if (key !== undefined && at - key < (wide === 2 ? 1 : .5) && !(flags[i] & SEVERAL)) continue;
    last.set(slot, at);
    const inset = Math.max(2, size * .16), half = (size - 2 * inset) / 2, y = top + track * size + inset;
    ctx.fillStyle = view.hues[kind[i]];
    const h = control ? half * .5 : half - 1;
    const up = server ? y + half + .5 : y + half - .5 - h;
    if (flags[i] & SEVERAL) {
      ctx.globalAlpha = .55; ctx.fillRect(at, up, Math.max(2, x(t[i] + tape.several.get(i)[1]) - at), h); ctx.globalAlpha = 1;
    } else if (wide === 2) ctx.fillRect(at - .5, up, 1.5, h);
    else { round(ctx, at - wide / 2, up, wide, h, 2); ctx.fill(); }
    if (named) labels.push([control ? -1 : i, at, up + h / 2, slot]);
  }
  if (!named) return;
  ctx.font = `10.5px ${MONO}`; ctx.textBaseline = 'middle'; ctx.textAlign = 'left';
  const next = new Map();
  for (const [i, at, y, slot] of labels.reverse()) {
    if (i < 0) { next.set(slot, at - 3); continue; }
    const room = (next.get(slot) ?? view.width) - at - 10, name = tape.kinds[kind[i]].name;
    next.set(slot, at - 3);
    if (room < 24 || at < view.gutter - 40) continue;
    ctx.fillStyle = view.colours.soft;
    const fits = Math.floor(room / 6.4);
    if (name.length <= fits || fits > 6) ctx.fillText(name.length <= fits ? name : `${name.slice(0, fits - 1)}…`, at + 6, y + .5);
  }
}

function spot(placed, mark) {  // Where a record of a proof is on the canvas.
  const top = placed.y - view.top;
  if (placed.small) return top + placed.tall / 2;
  const conn = mark.at >= 0 ? view.tape.e.conn[mark.at] : -1, track = placed.lane.track.get(conn) ?? 0;
  return top + placed.band + 4 + track * placed.size + placed.size / 2;
}

function marks(ctx, placed) {
  const c = view.colours, bad = view.find.bad, radius = placed.small ? clip(placed.tall / 2 + 1, 2.5, 5) : 6;
  let before = -100;
  for (const mark of placed.lane.marks) {
    if (mark.t < view.a || mark.t > view.b || (bad && !bad.has(mark.violation.index))) continue;
    const at = x(mark.t), y = spot(placed, mark), hue = mark.violation.failed ? c.bad : c.warn;
    if (mark.last) {
      if (at - before < 1) continue;
      before = at;
      ctx.fillStyle = hue; ctx.strokeStyle = c.panel; ctx.lineWidth = 1.5;
      ctx.beginPath(); ctx.moveTo(at, y - radius); ctx.lineTo(at + radius, y); ctx.lineTo(at, y + radius); ctx.lineTo(at - radius, y); ctx.closePath();
      ctx.fill(); ctx.stroke();
    } else if (!placed.small) {
      ctx.strokeStyle = hue; ctx.lineWidth = 1.5; ctx.beginPath(); ctx.arc(at, y, 4.5, 0, 7); ctx.stroke();
    }
  }
}

function chosen(ctx) {  // What is selected: a message, a run, a connection, or the proof of a violation.
  const what = view.chosen, c = view.colours;
  if (!what) return;
  if (what.example) {
    const points = [];
    for (const record of what.example.witness) {
      const placed = view.where.get(record.lane);
      if (placed) points.push([x(record.t), spot(placed, record), record]);
    }
    ctx.strokeStyle = c.bad; ctx.lineWidth = 1.5; ctx.setLineDash([4, 3]); ctx.beginPath();
    points.forEach(([px, py], n) => (n ? ctx.lineTo(px, py) : ctx.moveTo(px, py)));
    ctx.stroke(); ctx.setLineDash([]);
    ctx.font = `700 10px ${SANS}`; ctx.textAlign = 'center'; ctx.textBaseline = 'middle';
    points.forEach(([px, py], n) => {
      ctx.fillStyle = c.bad; ctx.strokeStyle = c.panel; ctx.lineWidth = 2; ctx.beginPath(); ctx.arc(px, py, 8, 0, 7); ctx.fill(); ctx.stroke();
      ctx.fillStyle = c.panel; ctx.fillText(n + 1, px, py + .5);
    });
    ctx.textAlign = 'left';
  } else if (what.event !== undefined) {
    const placed = view.where.get(view.tape.e.lane[what.event]);
    if (!placed) return;
    const at = x(view.tape.e.t[what.event]), y = spot(placed, { at: what.event });
    ctx.strokeStyle = c.accent; ctx.lineWidth = 2; round(ctx, at - 6, y - Math.max(5, placed.size / 2 - 1), 12, Math.max(10, placed.size - 2), 5); ctx.stroke();
  }
}

function label(ctx, placed) {
  const { lane } = placed, top = placed.y - view.top, c = view.colours;
  ctx.save(); ctx.beginPath(); ctx.rect(0, AXIS, view.gutter, view.tall); ctx.clip();
  ctx.fillStyle = c.gutter; ctx.fillRect(0, top, view.gutter, placed.tall + 1);
  if (lane.bad && view.find.bad !== null ? [...view.find.bad].some((v) => view.tape.violations[v].lanes.has(lane.index)) : lane.bad) {
    ctx.fillStyle = c.bad; ctx.fillRect(0, top, 3, placed.tall);
  }
  if (placed.tall >= 11) {
    ctx.font = `${placed.tall >= 20 ? '600 12.5px' : '11px'} ${SANS}`; ctx.textBaseline = 'middle'; ctx.textAlign = 'left';
    const two = placed.tall >= 36, middle = top + (two ? placed.tall / 2 - 8 : placed.tall / 2);
    ctx.fillStyle = c.ink; ctx.fillText(short(ctx, lane.name, view.gutter - 26), 14, middle);
    if (two) {
      ctx.font = `11px ${SANS}`; ctx.fillStyle = c.dim;
      const said = `${lane.events.toLocaleString('en')} messages${lane.conns.length > 1 ? ` · ${lane.conns.length} connections` : ''}`;
      ctx.fillText(short(ctx, said, view.gutter - 26), 14, middle + 16);
    }
  }
  if (placed.size >= 8) { ctx.fillStyle = c.line; ctx.fillRect(0, top + placed.tall, view.gutter, 1); }
  ctx.restore();
}
function short(ctx, text, room) {
  if (text.length > 60) text = `${text.slice(0, 60)}…`;
  while (text.length > 1 && ctx.measureText(text).width > room) text = `${text.slice(0, -2)}…`;
  return text;
}

function histogram() {  // How much there was when, for the overview: once a tape.
  const bins = new Float64Array(600), { e, end, several } = view.tape;
  for (let i = 0; i < e.n; i++) bins[Math.min(599, Math.floor(e.t[i] / end * 600))] += e.flags[i] & SEVERAL ? several.get(i)[0] : 1;
  return bins;
}
function overview() {
  const canvas = $('overview'), c = view.colours, wide = canvas.parentElement.clientWidth, tall = 46;
  const ctx = fitCanvas(canvas, wide, tall), room = wide - view.gutter, { end } = view.tape;
  const bins = view.tape.bins ??= histogram(), most = Math.max(1, ...bins);
  ctx.fillStyle = c.panel; ctx.fillRect(0, 0, wide, tall);
  ctx.fillStyle = c['conn-edge'];
  for (let i = 0; i < 600; i++) if (bins[i]) {
    const h = 3 + Math.sqrt(bins[i] / most) * (tall - 16);
    ctx.fillRect(view.gutter + i / 600 * room, tall - h - 3, room / 600 + .5, h);
  }
  for (const violation of view.tape.violations) {
    if (view.find.bad && !view.find.bad.has(violation.index)) continue;
    ctx.fillStyle = violation.failed ? c.bad : c.warn;
    for (const example of violation.examples) ctx.fillRect(view.gutter + example.witness.at(-1).t / end * room - 1, 3, 2, tall - 6);
  }
  const left = view.gutter + view.a / end * room, right = view.gutter + view.b / end * room;
  ctx.fillStyle = c.bg; ctx.globalAlpha = .62; ctx.fillRect(view.gutter, 0, left - view.gutter, tall); ctx.fillRect(right, 0, wide - right, tall); ctx.globalAlpha = 1;
  ctx.strokeStyle = c.accent; ctx.lineWidth = 1.5; round(ctx, left + .75, 1, Math.max(3, right - left - 1.5), tall - 2, 4); ctx.stroke();
  ctx.fillStyle = c.line; ctx.fillRect(0, tall - 1, wide, 1);
  ctx.font = `11px ${SANS}`; ctx.fillStyle = c.dim; ctx.textBaseline = 'middle'; ctx.textAlign = 'left'; ctx.fillText('messages', 14, tall / 2);
}

function clock(t, step = 1e3) {  // Microseconds since the tape began, as exact as the step asks for.
  if (step >= 6e7 || t >= 6e8) {
    const s = t / 1e6, m = Math.floor(s / 60), digits = step < 1e6 ? 3 : 0, rest = (s - m * 60).toFixed(digits).padStart(digits ? 6 : 2, '0');
    return m >= 60 ? `${Math.floor(m / 60)}:${String(m % 60).padStart(2, '0')}:${rest}` : `${m}:${rest}`;
  }
  if (step < 1e3) return `${(t / 1e3).toFixed(step < 10 ? 3 : step < 100 ? 2 : 1)} ms`;
  return `${(t / 1e6).toFixed(step < 1e4 ? 3 : step < 1e5 ? 2 : step < 1e6 ? 1 : 0)} s`;
}
