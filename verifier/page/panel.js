// The details on the right, of what is chosen, and the tip at the pointer.

let asked = 0;
async function detail() {
  const what = view.chosen,
    panel = $('detail'),
    mine = ++asked;
  for (const row of document.querySelectorAll('[data-violation]'))
    row.setAttribute('aria-current', String(what?.violation?.index === Number(row.dataset.violation)));
  document.querySelector('main').classList.toggle('words', Boolean(what) && !view.tape.lanes.length);
  if (!what) {
    panel.hidden = true;
    panel.replaceChildren();
    redraw();
    return;
  }
  const nodes = what.violation
    ? await ofViolation(what)
    : what.event !== undefined
      ? await ofEvent(what.event)
      : what.conn
        ? await ofConnection(what.conn)
        : ofRun(what.run);
  if (mine !== asked) return;
  const bar = el(
    'div',
    { class: 'bar' },
    ...(what.back ? [el('button', { type: 'button', on: { click: () => choose(what.back) } }, '← Proof')] : []),
    steps(what),
    el('span', { class: 'grow' }),
    el('button', { type: 'button', 'aria-label': 'Close details', on: { click: () => choose(null) } }, '✕'),
  );
  const scroll = panel.hidden;
  panel.replaceChildren(bar, ...nodes.flat().filter(Boolean));
  panel.hidden = false;
  panel.scrollTop = 0;
  if (scroll) redraw();
}

function steps(what) {
  if (what.violation)
    return [
      el('button', { type: 'button', on: { click: () => stepViolation(-1) } }, '‹ Previous'),
      el('button', { type: 'button', on: { click: () => stepViolation(1) } }, 'Next ›'),
    ];
  if (what.event !== undefined)
    return [
      el('button', { type: 'button', on: { click: () => stepEvent(-1) } }, '‹ Before'),
      el('button', { type: 'button', on: { click: () => stepEvent(1) } }, 'After ›'),
    ];
  return [];
}

async function ofViolation({ violation: v, place }) {
  const example = v.examples[place];
  const row = (record, n) =>
    el(
      'li',
      {},
      el(
        'button',
        { type: 'button', 'data-record': n, on: { click: () => show(record, { violation: v, place }) } },
        el('span', { class: 'num' }, n + 1),
        el(
          'span',
          {},
          el('div', {}, el('span', { class: 'ev' }, record.event), ` ${arrow(record.dir)} ${record.user}`),
          el('div', { class: 'meta' }, `${record.label} · ${clock(record.t)}`, record.note && ` · ${record.note}`),
          record.fields.map(([path, value]) => el('div', { class: 'meta ev' }, `${path} = ${value}`)),
        ),
      ),
    );
  return [
    el(
      'p',
      {},
      el(
        'span',
        { class: `pill ${v.failed ? 'bad' : 'warn'}` },
        v.failed ? 'Violation' : v.severity === 'error' ? 'Not counted' : v.severity,
      ),
      ' ',
      el('span', { class: 'pill' }, v.kind),
    ),
    el('h2', {}, v.invariant),
    el('p', {}, example.why, example.late ? ` (late by ${(example.late / 1e9).toFixed(3)} s)` : ''),
    v.impact && el('p', { class: 'impact' }, v.impact),
    facts([
      ['wanted', example.why.includes(example.wanted) ? '' : example.wanted],
      ['where', example.where],
      ['fault', example.fault],
      ['seen', v.users ? `${plural(v.count, 'time')}, ${plural(v.users, 'user')}` : plural(v.count, 'time')],
      [view.tape.lanes.length ? 'contract' : 'place', `${v.file}:${v.line}`],
      ['fingerprint', v.fingerprint],
    ]),
    el(
      'h3',
      {},
      v.examples.length > 1
        ? `Proof ${place + 1} of ${v.count > v.examples.length ? `${v.examples.length} kept (${count(v.count)} seen)` : v.examples.length}`
        : 'Proof',
    ),
    v.examples.length > 1 &&
      el(
        'p',
        {},
        v.examples.map((_, n) =>
          el(
            'button',
            {
              type: 'button',
              'aria-pressed': String(n === place),
              on: { click: () => choose({ violation: v, place: n }) },
            },
            `Example ${n + 1}`,
          ),
        ),
      ),
    example.witness.length > 0 && el('ol', { class: 'proof' }, example.witness.map(row)),
    example.told.length > 0 && el('pre', { class: 'told', tabindex: 0 }, ...visible(example.told.join('\n'), true)),
  ];
}

function show(record, back) {
  if (record.at >= 0) {
    choose({ event: record.at, back });
    return;
  }
  const conn = view.tape.conns.find((one) => one.id === record.connection);
  if (conn) choose({ conn, back });
}

async function ofEvent(i) {
  const { tape } = view,
    { e } = tape,
    lane = tape.lanes[e.lane[i]],
    kind = tape.kinds[e.kind[i]],
    conn = tape.conns[e.conn[i]];
  if (e.flags[i] & SEVERAL) {
    const [n, span] = tape.several.get(i);
    return [
      el('h2', {}, `${plural(n, 'message')} as one`),
      facts([
        ['user', lane.name],
        ['from', clock(e.t[i])],
        ['for', clock(span)],
        ['most are', kind.name],
      ]),
      el(
        'p',
        {},
        'This tape has more messages than a page can hold one by one. Those near violations are all here; `goldentape tape show` has the others.',
      ),
    ];
  }
  const flags = FLAGS.filter(([bit]) => e.flags[i] & bit)
    .map(([, name]) => name)
    .join(', ');
  const proves = [...new Set(lane.marks.filter((mark) => mark.at === i).map((mark) => mark.violation))];
  const before = i > lane.begin ? clock(e.t[i] - e.t[i - 1], 1) : '';
  return [
    el('h2', {}, `${arrow(kind.dir)} ${kind.name}`),
    facts([
      ['seq', `#${e.seq[i]}`],
      ['user', lane.name],
      ['direction', kind.dir ? 'server to client' : 'client to server'],
      [
        'time',
        `${clock(e.t[i], 1e3)}  (${new Date(tape.wall + e.t[i] / 1e3).toISOString().replace('T', ' ').replace('Z', ' UTC')})`,
      ],
      ['after', before && `${before} since the message before`],
      ['size', bytes(e.size[i])],
      ['flags', flags],
      [
        'connection',
        conn && el('button', { type: 'button', on: { click: () => choose({ conn }) } }, conn.id.slice(0, 12)),
      ],
    ]),
    proves.map((v) =>
      el(
        'p',
        {},
        el(
          'button',
          { type: 'button', on: { click: () => choose({ violation: v, place: 0 }) } },
          el('span', { class: 'dot bad' }),
          ` proves ${v.invariant}`,
        ),
      ),
    ),
    el('h3', {}, 'Message'),
    await said(i),
    el('h3', {}, 'Around it'),
    await talk(i),
  ];
}

async function said(i) {
  const { e, texts } = view.tape;
  if (e.text[i] < 0)
    return el(
      'p',
      {},
      e.flags[i] & ERASED
        ? 'Erased from the tape.'
        : 'Not in this page: `goldentape tape show` has it. Messages near violations are always here, unless values were to be left out.',
    );
  const found = await texts.get(e.text[i]);
  const text = typeof found === 'string' ? found : found.t,
    nodes = [];
  if (text !== undefined) {
    let value;
    try {
      value = JSON.parse(text);
    } catch {
      value = undefined;
    }
    nodes.push(
      value !== null && typeof value === 'object' ? pretty(text) : el('pre', { tabindex: 0 }, ...visible(text, true)),
    );
  } else {
    if (found.value) nodes.push(pretty(JSON.stringify(found.value)));
    nodes.push(el('pre', { tabindex: 0 }, found.hex));
  }
  if (found.cut) nodes.push(el('p', {}, `${bytes(found.cut)} more are not in this page.`));
  return nodes;
}

async function talk(i) {
  const { e, lanes, kinds, texts } = view.tape,
    lane = lanes[e.lane[i]],
    found = [];
  for (let n = Math.max(lane.begin, i - 5); n < Math.min(lane.end, i + 6); n++) {
    const dot = el('span', { class: 'dot' });
    dot.style.background = view.hues[e.kind[n]];
    found.push(
      el(
        'li',
        {},
        el(
          'button',
          { type: 'button', 'aria-current': String(n === i), on: { click: () => choose({ event: n }) } },
          dot,
          el('span', { class: 'meta' }, n === i ? clock(e.t[n], 1e3) : since(e.t[n] - e.t[i])),
          el('span', {}, arrow(kinds[e.kind[n]].dir)),
          el('span', { class: 'ev' }, kinds[e.kind[n]].name),
        ),
      ),
    );
  }
  return el('ul', { class: 'talk' }, found);
}

async function ofConnection(conn) {
  const head = await view.tape.heads.get(conn.index);
  const table = (pairs) => facts(pairs.map(([name, value]) => [name, value]));
  return [
    el('h2', {}, `Connection ${conn.id.slice(0, 12)}`),
    facts([
      ['user', head.user],
      ['path', head.target],
      ['status', head.status === null ? 'no answer' : `${head.status} ${head.reason}`],
      ['opened', clock(conn.opened)],
      ['handshake', conn.accepted === null ? 'refused' : clock(conn.accepted - conn.opened, 1)],
      ['open for', clock(conn.closed - conn.opened)],
      [
        'ended',
        conn.over ? `${conn.ending}${conn.by ? ` by ${conn.by}` : ''}` : 'not ended when the recording stopped',
      ],
      ['close', conn.code === null ? '' : `${conn.code} ${head.close_reason}`],
      ['subprotocol', head.subprotocol],
      ['extensions', head.extensions],
      ['credential', head.credential],
    ]),
    head.identities.length > 1 && [
      el('h3', {}, 'Who it was'),
      facts(head.identities.map(([seq, user, rule]) => [`from #${seq}`, `${user} (${rule})`])),
    ],
    el('h3', {}, 'Request'),
    table(head.request),
    el('h3', {}, 'Answer'),
    table(head.response),
    head.body && [el('h3', {}, 'Body'), el('pre', {}, ...visible(head.body, true))],
  ].flat();
}

function ofRun(run) {
  const lane = view.tape.lanes[run.lane],
    { t } = view.tape.e;
  const begin = lower(t, lane.begin, lane.end, run.begin),
    end = lower(t, begin, lane.end, run.end + 1);
  return [
    el('h2', {}, `${run.span} ${run.label}`),
    facts([
      ['user', lane.name],
      ['begins', clock(run.begin)],
      ['takes', clock(run.end - run.begin, 1e3)],
      ['ends', run.how],
      ['messages', `${count(end - begin)} of its user meanwhile`],
    ]),
    el(
      'p',
      {},
      el('button', { type: 'button', on: { click: () => only('run', run.label) } }, 'This run only'),
      ' ',
      el('button', { type: 'button', on: { click: () => zoomTo(run.begin, run.end) } }, 'Zoom to it'),
    ),
  ];
}

let tipped = 0;
async function tip(hit, px, py) {
  const box = $('tip'),
    mine = ++tipped,
    { tape } = view;
  if (!hit) {
    box.hidden = true;
    return;
  }
  let nodes;
  if (hit.mark) {
    const v = hit.mark.violation;
    nodes = [el('b', {}, v.invariant), el('div', {}, v.examples[hit.mark.place].why)];
  } else if (hit.event !== undefined) {
    const { e } = tape,
      i = hit.event,
      kind = tape.kinds[e.kind[i]];
    nodes = [
      el('b', {}, `${arrow(kind.dir)} ${kind.name}`),
      el('div', {}, `#${e.seq[i]} · ${clock(e.t[i])} · ${bytes(e.size[i])} · ${tape.lanes[e.lane[i]].name}`),
    ];
    if (e.text[i] >= 0) {
      const found = await tape.texts.get(e.text[i]),
        text = typeof found === 'string' ? found : (found.t ?? found.hex);
      nodes.push(el('div', { class: 'say' }, ...visible(text.slice(0, 280))));
    }
  } else if (!hit.run && !hit.conn)
    nodes = [
      el('b', {}, hit.lane.name),
      el(
        'div',
        {},
        `${plural(hit.lane.events, 'message')}, ${plural(hit.lane.conns.length, 'connection')} · named by ${hit.lane.rule} · click: this user only`,
      ),
    ];
  else if (hit.run)
    nodes = [
      el('b', {}, `${hit.run.span} ${hit.run.label}`),
      el(
        'div',
        {},
        `${clock(hit.run.begin)}, takes ${clock(hit.run.end - hit.run.begin, 1e3)}${hit.run.how ? `, ${hit.run.how}` : ''}`,
      ),
    ];
  else
    nodes = [
      el('b', {}, `connection ${hit.conn.id.slice(0, 12)}`),
      el(
        'div',
        {},
        `${hit.conn.ending}${hit.conn.code === null ? '' : ` ${hit.conn.code}`} · handshake ${hit.conn.accepted === null ? 'refused' : clock(hit.conn.accepted - hit.conn.opened, 1)}`,
      ),
    ];
  if (mine !== tipped) return;
  box.replaceChildren(...nodes);
  box.hidden = false;
  const { width, height } = box.getBoundingClientRect();
  box.style.left = `${clip(px + 14, 4, innerWidth - width - 8)}px`;
  box.style.top = `${py + 18 + height > innerHeight ? py - height - 12 : py + 18}px`;
}
