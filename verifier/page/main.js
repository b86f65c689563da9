// What is chosen and which stretch is seen; the keys; and the start of it all.

let about;

function choose(what) {
  view.chosen = what;
  if (what?.violation) {
    what.example = what.violation.examples[what.place];
    reveal(what.example);
    say(`Violation of ${what.violation.invariant}: ${what.example.why}`);
  } else if (what?.event !== undefined) {
    const { e, kinds, lanes } = view.tape;
    toEvent(what.event);
    say(
      `${kinds[e.kind[what.event]].name}, number ${e.seq[what.event]}, ${lanes[e.lane[what.event]].name}, ${clock(e.t[what.event])}`,
    );
  }
  detail();
  redraw();
}
const say = (text) => {
  $('live').textContent = text;
};

function setWindow(a, b) {
  const { end } = view.tape,
    span = clip(b - a, 20, end * 1.04);
  view.a = clip(a, -end * 0.02, end * 1.02 - span);
  view.b = view.a + span;
  redraw();
  where();
}
const zoomTo = (begin, end) => {
  const room = Math.max(50, (end - begin) * 0.12);
  setWindow(begin - room, end + room);
};
const middle = () => {
  // Where zooming holds still: at what is chosen, if it can be seen.
  const { chosen, tape } = view,
    t = chosen?.event !== undefined ? tape.e.t[chosen.event] : chosen?.example?.witness.at(-1)?.t;
  return t > view.a && t < view.b ? t : (view.a + view.b) / 2;
};
const zoom = (factor, at = middle()) => setWindow(at - (at - view.a) * factor, at + (view.b - at) * factor);
const pan = (share) => setWindow(view.a + (view.b - view.a) * share, view.b + (view.b - view.a) * share);
const fit = () => {
  const [begin, end] = view.tape.busy,
    room = (end - begin) * 0.015;
  setWindow(begin - room, end + room);
};

function reveal(example) {
  // Show the whole proof: its time and its lanes.
  if (!example.witness.length) return;
  const times = example.witness.map((record) => record.t),
    begin = Math.min(...times),
    end = Math.max(...times);
  const room = Math.max((end - begin) * 0.35, 2000);
  if (begin < view.a || end > view.b || end - begin < (view.b - view.a) / 12 || end - begin > (view.b - view.a) * 0.9)
    setWindow(begin - room, end + room);
  const last = example.witness.findLast((record) => view.where.has(record.lane)) ?? example.witness.at(-1);
  scrollToLane(last.lane);
}
function scrollToLane(index) {
  let placed = view.where.get(index);
  if (!placed && index !== undefined && ($('only').checked || view.find.lanes)) return;
  const scroller = $('scroller');
  if (
    placed &&
    (placed.y < scroller.scrollTop + AXIS || placed.y + placed.tall > scroller.scrollTop + scroller.clientHeight)
  ) {
    scroller.scrollTop = placed.y - scroller.clientHeight / 2;
  }
}
function toEvent(i) {
  const t = view.tape.e.t[i],
    span = view.b - view.a;
  if (t < view.a + span * 0.03 || t > view.b - span * 0.03) setWindow(t - span / 2, t + span / 2);
  scrollToLane(view.tape.e.lane[i]);
}
function stepViolation(by) {
  const all = view.tape.violations.filter((v) => !view.find.bad || view.find.bad.has(v.index));
  if (!all.length) return;
  const now = all.indexOf(view.chosen?.violation ?? view.chosen?.back?.violation);
  choose({ violation: all[now < 0 ? (by > 0 ? 0 : all.length - 1) : (now + by + all.length) % all.length], place: 0 });
  document.querySelector(`[data-violation="${view.chosen.violation.index}"]`)?.scrollIntoView({ block: 'nearest' });
}
function stepEvent(by) {
  const { e, lanes } = view.tape;
  let i = view.chosen?.event;
  if (i === undefined) {
    const record = view.chosen?.example?.witness.findLast((one) => one.at >= 0),
      placed = view.visible?.[0] ?? view.lanes[0];
    if (!record && !placed) return;
    const lane = placed?.lane;
    i = record ? record.at : clip(lower(e.t, lane.begin, lane.end, view.a), lane.begin, lane.end - 1);
    if (i >= 0 && i < e.n) choose({ event: i });
    return;
  }
  const lane = lanes[e.lane[i]],
    shown = view.find.kinds;
  for (i += by; i >= lane.begin && i < lane.end; i += by)
    if (!shown || shown[e.kind[i]]) {
      choose({ event: i, back: view.chosen.back });
      return;
    }
}

// -- the keys

const KEYS = [
  [['n', 'p'], 'next and previous violation', { n: () => stepViolation(1), p: () => stepViolation(-1) }],
  [['j', 'k'], 'next and previous message of this user', { j: () => stepEvent(1), k: () => stepEvent(-1) }],
  [
    ['←', '→'],
    'earlier, later',
    { ArrowLeft: () => pan(-0.2), ArrowRight: () => pan(0.2), h: () => pan(-0.2), l: () => pan(0.2) },
  ],
  [['↑', '↓'], 'users above, below', {}],
  [
    ['+', '−'],
    'zoom in, out (or Ctrl and the wheel)',
    { '+': () => zoom(0.6), '=': () => zoom(0.6), '-': () => zoom(1 / 0.6), _: () => zoom(1 / 0.6) },
  ],
  [['0'], 'the whole tape', { 0: fit }],
  [['[', ']'], 'lower, taller lanes', { '[': () => resize(-1), ']': () => resize(1) }],
  [['/'], 'filter', { '/': () => $('search').focus() }],
  [['v'], 'only users with violations', { v: () => $('only').click() }],
  [['t'], 'light or dark', { t: theme }],
  [['Esc'], 'close what is open', {}],
  [['?'], 'these keys', { '?': () => help() }],
];
const ACTS = Object.assign(Object.create(null), ...KEYS.map(([, , acts]) => acts));

function keyboard() {
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const field = event.target.matches('input[type=search], select');
    if (event.key === 'Escape') {
      if ($('help').open) return;
      if (field) {
        $('search').value = '';
        filter();
        $('scroller').focus();
      } else if (view.chosen) choose(null);
      else if ($('search').value) {
        $('search').value = '';
        filter();
      }
    } else if (event.key === 'Enter' && event.target.id === 'search') $('scroller').focus();
    else if (!field && ACTS[event.key] && !(event.key.startsWith('Arrow') && event.target.closest('#detail, #side'))) {
      event.preventDefault();
      ACTS[event.key]();
    }
  });
}
function help() {
  $('help').replaceChildren(
    el('h2', {}, 'Keys'),
    el(
      'dl',
      {},
      KEYS.map(([keys, what]) => [
        el(
          'dt',
          {},
          keys.map((key) => [el('kbd', {}, key), ' ']),
        ).valueOf(),
        el('dd', {}, what),
      ]).flat(),
    ),
    el('h2', {}, 'Signs'),
    el(
      'ul',
      {},
      [
        'upper half of a bar: messages of the client; lower half: of the server',
        'tinted begin: the handshake; red bar: refused; amber edge: no closing handshake',
        'bands above: runs; amber: without an exit',
        'diamond: a violation; rings: the other records of its proof',
      ].map((text) => el('li', {}, text)),
    ),
    el('p', {}, 'Drag to move, double click to zoom in, drag in the overview to choose a stretch.'),
    el('button', { type: 'button', on: { click: () => $('help').close() } }, 'Close'),
  );
  $('help').showModal();
}
function resize(by) {
  const scroller = $('scroller'),
    middle = (scroller.scrollTop + scroller.clientHeight / 2) / Math.max(1, view.total);
  view.height = clip(view.height + by, 0, HEIGHTS.length - 1);
  arrange();
  $('spacer').style.height = `${Math.max(0, view.total - scroller.clientHeight)}px`;
  scroller.scrollTop = middle * view.total - scroller.clientHeight / 2;
  redraw();
}
function theme() {
  const dark = document.documentElement.classList.toggle('dark');
  try {
    localStorage.setItem('goldentape-theme', dark ? 'dark' : 'light');
  } catch {
    /* a page from disk may have none */
  }
  paint();
  side();
  filter();
}

// -- the start

async function open(place) {
  const tape = await load(place, { ...about.tapes[place], unjudged: about.unjudged });
  tape.unjudged = about.unjudged;
  Object.assign(view, { tape, chosen: null, find: { kinds: null, lanes: null, bad: null, windows: null } });
  $('title').textContent = tape.about.name;
  document.title = `${tape.about.name} · goldentape`;
  const [users, connections, events] = tape.facts.totals,
    drawn = tape.lanes.length > 0 || !tape.violations.length;
  $('numbers').textContent = [
    drawn || users ? plural(users, 'user') : '',
    plural(connections, 'connection'),
    plural(events, 'message'),
    drawn ? clock(tape.end, tape.end / 100) : '',
    tape.about.state,
  ]
    .filter(Boolean)
    .join(' · ');
  const verdicts = tape.about.verdicts.map((one) => one.verdict),
    pill = $('verdict');
  const worst = ['fail', 'error', 'inconclusive', 'vacuous', 'pass'].find((one) => verdicts.includes(one));
  pill.hidden = !worst;
  const failed = tape.violations.filter((v) => v.failed).length;
  pill.textContent = worst === 'fail' ? `fail: ${plural(failed, 'violation')}` : (worst ?? '');
  pill.className = `pill ${worst === 'pass' ? 'good' : worst === 'fail' || worst === 'error' ? 'bad' : 'warn'}`;
  $('left').textContent = tape.facts.leftOut.length ? `Not in this page: ${tape.facts.leftOut.join('; ')}.` : '';
  $('search').value = '';
  $('only').checked = false;
  $('only').parentElement.hidden = !tape.violations.length;
  $('order').value = tape.lanes.length > 40 && tape.violations.length ? 'bad' : 'tape';
  paint();
  side();
  const room = $('scroller').clientHeight; // the tallest lanes that all fit, if readable ones do; else a page to scroll
  for (view.height = HEIGHTS.length - 1; view.height > 3; view.height--) {
    arrange();
    if (view.total <= room) break;
  }
  if (view.height === 3 && tape.lanes.length <= 100) view.height = 4;
  filter();
  $('scroller').scrollTop = 0;
  detail();
  fit();
  if (!drawn) choose({ violation: tape.violations[0], place: 0 }); // there is nothing else to look at
}

async function start() {
  let kept = null;
  try {
    kept = localStorage.getItem('goldentape-theme');
  } catch {
    /* a page from disk may have none */
  }
  if (kept ? kept === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches)
    document.documentElement.classList.add('dark');
  if (typeof DecompressionStream === 'undefined') {
    $('loading').textContent = 'This page needs a browser of 2023 or later.';
    return;
  }
  about = await unpack($('about').textContent);
  $('loading').hidden = true;
  $('app').hidden = false;
  if (!about.tapes.length) {
    $('title').textContent = 'No tape';
    $('side').replaceChildren(...about.unjudged.map(([, why]) => el('p', { class: 'note' }, why)));
    document.body.dataset.ready = 'yes';
    return;
  }
  $('pick').hidden = about.tapes.length < 2;
  $('tape').replaceChildren(
    ...about.tapes.map((tape, place) =>
      el(
        'option',
        { value: place },
        `${tape.name}${tape.verdicts.length ? ` (${tape.verdicts.map((one) => one.verdict).join(', ')})` : ''}`,
      ),
    ),
  );
  const at = Math.max(
    0,
    about.tapes.findIndex((tape) => tape.verdicts.some((one) => one.verdict === 'fail')),
  );
  $('tape').value = String(at);
  $('tape').addEventListener('change', () => open(Number($('tape').value)));
  for (const [id, act] of [
    ['in', () => zoom(0.6)],
    ['out', () => zoom(1 / 0.6)],
    ['fit', fit],
    ['taller', () => resize(1)],
    ['lower', () => resize(-1)],
    ['theme', theme],
    ['keys', help],
  ])
    $(id).addEventListener('click', act);
  for (const id of ['only', 'order']) $(id).addEventListener('change', filter);
  let waiting;
  $('search').addEventListener('input', () => {
    clearTimeout(waiting);
    waiting = setTimeout(filter, 120);
  });
  pointer();
  keyboard();
  new ResizeObserver(() => redraw()).observe($('stage'));
  await open(at);
  document.body.dataset.ready = 'yes';
}
start().catch((error) => {
  $('loading').hidden = false;
  $('app').hidden = true;
  $('loading').textContent = `This page could not be drawn: ${error.message}`;
  console.error(error);
});
