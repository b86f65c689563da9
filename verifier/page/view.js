// What is drawn, but for the lanes: their places, the time axis, the overview above, and the colours of all.

const LIGHT = [
  '#2f6fdb',
  '#0f9d8a',
  '#8a5cd6',
  '#c77700',
  '#4a8f2c',
  '#b8459b',
  '#1a8fc4',
  '#857000',
  '#5566c4',
  '#8b5a3c',
];
const DARK = [
  '#6ea8ff',
  '#3fd0b8',
  '#b695ff',
  '#f0aa3c',
  '#86cf5f',
  '#f08cd0',
  '#5cc4f2',
  '#d6c24a',
  '#9caaf5',
  '#d6a27e',
];
const CONTROL = new Set(['ping', 'pong', 'close']);
const HEIGHTS = [3, 5, 8, 14, 22, 32, 44];
const AXIS = 26;
const SANS = 'system-ui, -apple-system, "Segoe UI", Roboto, sans-serif',
  MONO = 'ui-monospace, Menlo, Consolas, monospace';

const view = {
  tape: null,
  a: 0,
  b: 1,
  height: 3,
  gutter: 196,
  width: 0,
  tall: 0,
  lanes: [],
  total: 0,
  top: 0,
  hover: null,
  dirty: false,
  colours: {},
  hues: [],
  shown: null,
  find: { kinds: null, lanes: null, bad: null, windows: null },
  chosen: null,
};

function paint() {
  // Read the theme's colours, and give each kind of event its own.
  const style = getComputedStyle(document.documentElement);
  for (const name of [
    'bg',
    'panel',
    'line',
    'faint',
    'ink',
    'soft',
    'dim',
    'accent',
    'accent-soft',
    'bad',
    'bad-soft',
    'warn',
    'conn',
    'conn-edge',
    'run',
    'run-open',
    'zebra',
    'gutter',
    'good',
  ])
    view.colours[name] = style.getPropertyValue(`--${name}`).trim();
  const hues = document.documentElement.classList.contains('dark') ? DARK : LIGHT;
  const names = new Map();
  if (!view.tape) return;
  for (const kind of view.tape.kinds)
    if (!CONTROL.has(kind.name)) names.set(kind.name, (names.get(kind.name) ?? 0) + kind.count);
  const ranked = [...names].sort((a, b) => b[1] - a[1]).map(([name]) => name);
  view.hues = view.tape.kinds.map(({ name }) => {
    const rank = ranked.indexOf(name);
    return rank >= 0 && rank < hues.length ? hues[rank] : view.colours.dim;
  });
}

function arrange() {
  // Which lanes there are, in which order, and where.
  const { tape, find } = view,
    order = $('order').value;
  const lanes = tape.lanes.filter(
    (lane) => (!find.lanes || find.lanes.has(lane.index)) && (!$('only').checked || lane.bad),
  );
  if (order === 'bad') lanes.sort((a, b) => b.bad - a.bad || a.index - b.index);
  if (order === 'busy') lanes.sort((a, b) => b.events - a.events || a.index - b.index);
  if (order === 'name') lanes.sort((a, b) => (a.name < b.name ? -1 : 1));
  const size = HEIGHTS[view.height];
  let y = AXIS;
  view.lanes = lanes.map((lane) => {
    const small = size < 14,
      band = small ? 0 : Math.min(lane.rows, 3) * runHeight();
    const tall = small ? size : band + Math.min(lane.tracks, 12) * size + 8;
    const placed = { lane, y, tall, band, size, small };
    y += tall + (size < 8 ? 0 : 1);
    return placed;
  });
  view.where = new Map(view.lanes.map((placed) => [placed.lane.index, placed]));
  view.total = y + 12;
  $('empty').hidden = lanes.length > 0;
  $('empty').textContent = tape.lanes.length
    ? 'Nothing matches the filter.'
    : 'No tape is drawn here: what was found is on the left.';
}

const runHeight = () => (view.height >= 5 ? 15 : view.height >= 4 ? 8 : 4);
const x = (t) => view.gutter + ((t - view.a) / (view.b - view.a)) * (view.width - view.gutter);
const time = (px) => view.a + ((px - view.gutter) / (view.width - view.gutter)) * (view.b - view.a);
const clip = (value, low, high) => Math.max(low, Math.min(high, value));

function redraw() {
  if (view.dirty) return;
  view.dirty = true;
  requestAnimationFrame(() => {
    view.dirty = false;
    if (view.tape) {
      draw();
      overview();
    }
  });
}

function fitCanvas(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext('2d');
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

function draw() {
  const scroller = $('scroller'),
    c = view.colours;
  view.width = scroller.clientWidth;
  view.tall = scroller.clientHeight;
  view.top = scroller.scrollTop;
  view.gutter = view.width < 600 ? 96 : 196;
  $('spacer').style.height = `${Math.max(0, view.total - view.tall)}px`;
  const ctx = fitCanvas($('canvas'), view.width, view.tall);
  ctx.fillStyle = c.bg;
  ctx.fillRect(0, 0, view.width, view.tall);
  const step = grid(ctx);
  ctx.save();
  ctx.beginPath();
  ctx.rect(0, AXIS, view.width, view.tall);
  ctx.clip();
  const visible = view.lanes.filter((p) => p.y + p.tall >= view.top + AXIS && p.y <= view.top + view.tall);
  view.visible = visible;
  for (const placed of visible) lane(ctx, placed);
  for (const placed of visible) marks(ctx, placed);
  chosen(ctx);
  ctx.restore();
  for (const placed of visible) label(ctx, placed);
  ctx.fillStyle = c.gutter;
  ctx.fillRect(0, 0, view.gutter, AXIS);
  axis(ctx, step);
  if (view.hover && view.hover.x > view.gutter) {
    ctx.strokeStyle = c.dim;
    ctx.setLineDash([2, 3]);
    ctx.beginPath();
    ctx.moveTo(view.hover.x + 0.5, AXIS);
    ctx.lineTo(view.hover.x + 0.5, view.tall);
    ctx.stroke();
    ctx.setLineDash([]);
    badge(ctx, view.hover.x, clock(time(view.hover.x), (view.b - view.a) / 200));
  }
}

const UNITS = [10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400].map((s) => s * 1e6);
function niceStep(span, count) {
  const rough = span / count,
    long = UNITS.find((step) => step >= rough);
  if (rough > 5e6 && long) return long;
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((m) => m * power).find((step) => step >= rough);
}
function grid(ctx) {
  const step = niceStep(view.b - view.a, Math.max(2, (view.width - view.gutter) / 110));
  ctx.strokeStyle = view.colours.line;
  ctx.lineWidth = 1;
  ctx.beginPath();
  for (let t = Math.ceil(view.a / step) * step; t <= view.b; t += step) {
    const at = Math.round(x(t)) + 0.5;
    ctx.moveTo(at, AXIS);
    ctx.lineTo(at, view.tall);
  }
  ctx.stroke();
  return step;
}
function axis(ctx, step) {
  const c = view.colours;
  ctx.fillStyle = c.panel;
  ctx.fillRect(view.gutter, 0, view.width, AXIS);
  ctx.fillStyle = c.line;
  ctx.fillRect(0, AXIS - 1, view.width, 1);
  ctx.fillRect(view.gutter, 0, 1, view.tall);
  ctx.font = `11px ${SANS}`;
  ctx.textBaseline = 'middle';
  ctx.fillStyle = c.soft;
  ctx.textAlign = 'center';
  for (let t = Math.ceil(view.a / step) * step; t <= view.b; t += step) {
    const at = x(t);
    if (at > view.gutter + 24 && at < view.width - 24) ctx.fillText(clock(t, step), at, AXIS / 2);
  }
  for (const [t, kind] of view.tape.marks) {
    if (t < view.a || t > view.b || kind === 'begin' || kind === 'end') continue;
    const at = x(t);
    ctx.fillStyle = c.warn;
    ctx.fillRect(at, 0, 1, AXIS);
    ctx.beginPath();
    ctx.moveTo(at, 0);
    ctx.lineTo(at + 7, 0);
    ctx.lineTo(at, 8);
    ctx.fill();
  }
  ctx.textAlign = 'left';
  ctx.fillStyle = c.dim;
  ctx.fillText(`${view.lanes.length.toLocaleString('en')} user${view.lanes.length === 1 ? '' : 's'}`, 14, AXIS / 2);
}
function badge(ctx, at, text) {
  ctx.font = `600 11px ${SANS}`;
  const wide = ctx.measureText(text).width + 12,
    left = clip(at - wide / 2, view.gutter, view.width - wide);
  ctx.fillStyle = view.colours.ink;
  round(ctx, left, 3, wide, AXIS - 8, 5);
  ctx.fill();
  ctx.fillStyle = view.colours.panel;
  ctx.textAlign = 'left';
  ctx.textBaseline = 'middle';
  ctx.fillText(text, left + 6, AXIS / 2 - 1);
}
function round(ctx, left, top, wide, tall, radius) {
  ctx.beginPath();
  ctx.roundRect(left, top, Math.max(0.5, wide), tall, Math.max(0, Math.min(radius, wide / 2, tall / 2)));
}

function histogram() {
  // How much there was when, for the overview: once a tape.
  const bins = new Float64Array(600),
    { e, end, several } = view.tape;
  for (let i = 0; i < e.n; i++)
    bins[Math.min(599, Math.floor((e.t[i] / end) * 600))] += e.flags[i] & SEVERAL ? several.get(i)[0] : 1;
  return bins;
}
function overview() {
  const canvas = $('overview'),
    c = view.colours,
    wide = canvas.parentElement.clientWidth,
    tall = 46;
  const ctx = fitCanvas(canvas, wide, tall),
    room = wide - view.gutter,
    { end } = view.tape;
  const bins = (view.tape.bins ??= histogram()),
    most = Math.max(1, ...bins);
  ctx.fillStyle = c.panel;
  ctx.fillRect(0, 0, wide, tall);
  ctx.fillStyle = c['conn-edge'];
  for (let i = 0; i < 600; i++)
    if (bins[i]) {
      const h = 3 + Math.sqrt(bins[i] / most) * (tall - 16);
      ctx.fillRect(view.gutter + (i / 600) * room, tall - h - 3, room / 600 + 0.5, h);
    }
  for (const violation of view.tape.violations) {
    if (view.find.bad && !view.find.bad.has(violation.index)) continue;
    ctx.fillStyle = violation.failed ? c.bad : c.warn;
    for (const example of violation.examples.filter((one) => one.witness.length))
      ctx.fillRect(view.gutter + (example.witness.at(-1).t / end) * room - 1, 3, 2, tall - 6);
  }
  const left = view.gutter + (view.a / end) * room,
    right = view.gutter + (view.b / end) * room;
  ctx.fillStyle = c.bg;
  ctx.globalAlpha = 0.62;
  ctx.fillRect(view.gutter, 0, left - view.gutter, tall);
  ctx.fillRect(right, 0, wide - right, tall);
  ctx.globalAlpha = 1;
  ctx.strokeStyle = c.accent;
  ctx.lineWidth = 1.5;
  round(ctx, left + 0.75, 1, Math.max(3, right - left - 1.5), tall - 2, 4);
  ctx.stroke();
  ctx.fillStyle = c.line;
  ctx.fillRect(0, tall - 1, wide, 1);
  ctx.font = `11px ${SANS}`;
  ctx.fillStyle = c.dim;
  ctx.textBaseline = 'middle';
  ctx.textAlign = 'left';
  ctx.fillText('messages', 14, tall / 2);
}

function clock(t, step = 1e3) {
  // Microseconds since the tape began, as exact as the step asks for.
  if (step >= 6e7 || t >= 6e8) {
    const s = t / 1e6,
      m = Math.floor(s / 60),
      digits = step < 1e6 ? 3 : 0,
      rest = (s - m * 60).toFixed(digits).padStart(digits ? 6 : 2, '0');
    return m >= 60 ? `${Math.floor(m / 60)}:${String(m % 60).padStart(2, '0')}:${rest}` : `${m}:${rest}`;
  }
  if (step < 1e3) return `${(t / 1e3).toFixed(step < 10 ? 3 : step < 100 ? 2 : 1)} ms`;
  return `${(t / 1e6).toFixed(step < 1e4 ? 3 : step < 1e5 ? 2 : step < 1e6 ? 1 : 0)} s`;
}
