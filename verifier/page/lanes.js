// One lane of the canvas: runs, connections, messages, what is marked and what is chosen; its name on the left.

function lane(ctx, placed) {
  const { lane, size, small, band } = placed,
    top = placed.y - view.top,
    c = view.colours;
  if (!small && view.lanes.indexOf(placed) % 2) {
    ctx.fillStyle = c.zebra;
    ctx.globalAlpha = 0.55;
    ctx.fillRect(view.gutter, top, view.width, placed.tall);
    ctx.globalAlpha = 1;
  }
  if (size >= 8) {
    ctx.fillStyle = c.line;
    ctx.fillRect(0, top + placed.tall, view.width, 1);
  }
  if (!small) runs(ctx, placed, top);
  for (const index of lane.conns) connection(ctx, placed, view.tape.conns[index], top + (small ? 0 : band + 4));
  if (small) heat(ctx, placed, top);
  else events(ctx, placed, top + band + 4);
}

function runs(ctx, placed, top) {
  const tall = runHeight(),
    c = view.colours;
  ctx.font = `10.5px ${SANS}`;
  ctx.textBaseline = 'middle';
  ctx.textAlign = 'left';
  for (const run of placed.lane.runs) {
    if (run.end < view.a || run.begin > view.b) continue;
    const left = Math.max(x(run.begin), view.gutter - 4),
      right = Math.min(x(run.end), view.width + 4);
    const y = top + 2 + run.row * tall;
    ctx.fillStyle = run.good ? c.run : c['run-open'];
    round(ctx, left, y, Math.max(2, right - left), tall - 2, 4);
    ctx.fill();
    if (tall >= 15 && right - left > 46) {
      ctx.save();
      ctx.beginPath();
      ctx.rect(left + 5, y, right - left - 9, tall);
      ctx.clip();
      ctx.fillStyle = c.ink;
      ctx.globalAlpha = 0.78;
      ctx.fillText(`${run.span} ${run.label}${run.how ? ` · ${run.how}` : ''}`, left + 6, y + tall / 2 - 0.5);
      ctx.restore();
    }
  }
}

function connection(ctx, placed, conn, top) {
  if (conn.closed < view.a || conn.opened > view.b) return;
  const { size, small, lane } = placed,
    c = view.colours;
  const y = small ? top : top + lane.track.get(conn.index) * size,
    tall = small ? Math.max(1, size - 1) : size;
  const left = Math.max(x(conn.opened), view.gutter - 6),
    right = Math.min(x(conn.closed), view.width + 6);
  const accepted = conn.accepted === null ? right : Math.max(left, Math.min(x(conn.accepted), right));
  const refused = conn.accepted === null;
  ctx.fillStyle = refused ? c['bad-soft'] : c.conn;
  if (small) {
    ctx.globalAlpha = 0.7;
    ctx.fillRect(left, y, Math.max(1, right - left), tall);
    ctx.globalAlpha = 1;
    return;
  }
  const inset = Math.max(2, tall * 0.16),
    h = tall - 2 * inset;
  round(ctx, left, y + inset, Math.max(3, right - left), h, 5);
  ctx.fill();
  ctx.strokeStyle = refused ? c.bad : c['conn-edge'];
  ctx.lineWidth = 1;
  ctx.stroke();
  if (accepted - left > 1.5 && !refused) {
    // the handshake
    ctx.save();
    round(ctx, left, y + inset, right - left, h, 5);
    ctx.clip();
    ctx.fillStyle = c.warn;
    ctx.globalAlpha = 0.28;
    ctx.fillRect(left, y + inset, accepted - left, h);
    ctx.restore();
  }
  if (conn.over && x(conn.closed) <= view.width + 6 && conn.ending !== 'clean') {
    ctx.fillStyle = conn.ending === 'refused' ? c.bad : c.warn;
    ctx.fillRect(right - 2.5, y + inset - 1, 3, h + 2);
  }
}

function heat(ctx, placed, top) {
  // A lane of a few pixels: how much there was, not what.
  const { lane, size } = placed,
    { t, kind } = view.tape.e,
    wide = view.width - view.gutter,
    shown = view.find.kinds;
  const begin = lower(t, lane.begin, lane.end, view.a),
    end = lower(t, begin, lane.end, view.b + 1);
  const scale = wide / (view.b - view.a),
    cells = new Uint16Array(Math.ceil(wide / 2) + 1);
  const win = view.find.windows?.get(lane.index);
  for (let i = begin; i < end; i++) {
    if ((shown && !shown[kind[i]]) || (win && !within(win, t[i]))) continue;
    const count = view.tape.e.flags[i] & SEVERAL ? view.tape.several.get(i)[0] : 1;
    cells[((t[i] - view.a) * scale) >> 1] += count;
  }
  ctx.fillStyle = view.colours.accent;
  const tall = Math.max(1, size - 1);
  let from = 0,
    level = 0;
  for (let px = 0; px <= cells.length; px++) {
    const count = px < cells.length ? cells[px] : 0;
    const next = count ? Math.min(8, 2 + (32 - Math.clz32(count))) : 0;
    if (next === level) continue;
    if (level) {
      ctx.globalAlpha = level / 8;
      ctx.fillRect(view.gutter + from * 2, top, (px - from) * 2, tall);
    }
    from = px;
    level = next;
  }
  ctx.globalAlpha = 1;
}

const within = (windows, t) => windows.some(([begin, end]) => t >= begin && t <= end);

function events(ctx, placed, top) {
  const { lane, size } = placed,
    { tape } = view,
    { t, kind, conn, flags } = tape.e,
    shown = view.find.kinds;
  const begin = lower(t, lane.begin, lane.end, view.a),
    end = lower(t, begin, lane.end, view.b + 1);
  const roomy = (view.width - view.gutter) / Math.max(1, end - begin),
    named = size >= 22 && roomy > 9;
  const last = new Map(),
    win = view.find.windows?.get(lane.index),
    labels = [];
  const wide = roomy > 30 ? 6 : roomy > 8 ? 4 : 2;
  for (let i = begin; i < end; i++) {
    if ((shown && !shown[kind[i]]) || (win && !within(win, t[i]))) continue;
    const server = tape.kinds[kind[i]].dir,
      track = lane.track.get(conn[i]) ?? 0,
      slot = track * 2 + server,
      at = x(t[i]);
    const control = CONTROL.has(tape.kinds[kind[i]].name);
    const key = last.get(slot);
    if (key !== undefined && at - key < (wide === 2 ? 1 : 0.5) && !(flags[i] & SEVERAL)) continue;
    last.set(slot, at);
    const inset = Math.max(2, size * 0.16),
      half = (size - 2 * inset) / 2,
      y = top + track * size + inset;
    ctx.fillStyle = view.hues[kind[i]];
    const h = control ? half * 0.5 : half - 1;
    const up = server ? y + half + 0.5 : y + half - 0.5 - h;
    if (flags[i] & SEVERAL) {
      ctx.globalAlpha = 0.55;
      ctx.fillRect(at, up, Math.max(2, x(t[i] + tape.several.get(i)[1]) - at), h);
      ctx.globalAlpha = 1;
    } else if (wide === 2) ctx.fillRect(at - 0.5, up, 1.5, h);
    else {
      round(ctx, at - wide / 2, up, wide, h, 2);
      ctx.fill();
    }
    if (named) labels.push([control ? -1 : i, at, up + h / 2, slot]);
  }
  if (!named) return;
  ctx.font = `10.5px ${MONO}`;
  ctx.textBaseline = 'middle';
  ctx.textAlign = 'left';
  const next = new Map();
  for (const [i, at, y, slot] of labels.reverse()) {
    if (i < 0) {
      next.set(slot, at - 3);
      continue;
    }
    const room = (next.get(slot) ?? view.width) - at - 10,
      name = tape.kinds[kind[i]].name;
    next.set(slot, at - 3);
    if (room < 24 || at < view.gutter - 40) continue;
    ctx.fillStyle = view.colours.soft;
    const fits = Math.floor(room / 6.4);
    if (name.length <= fits || fits > 6)
      ctx.fillText(name.length <= fits ? name : `${name.slice(0, fits - 1)}…`, at + 6, y + 0.5);
  }
}

function spot(placed, mark) {
  // Where a record of a proof is on the canvas.
  const top = placed.y - view.top;
  if (placed.small) return top + placed.tall / 2;
  const conn = mark.at >= 0 ? view.tape.e.conn[mark.at] : -1,
    track = placed.lane.track.get(conn) ?? 0;
  return top + placed.band + 4 + track * placed.size + placed.size / 2;
}

function marks(ctx, placed) {
  const c = view.colours,
    bad = view.find.bad,
    radius = placed.small ? clip(placed.tall / 2 + 1, 2.5, 5) : 6;
  let before = -100;
  for (const mark of placed.lane.marks) {
    if (mark.t < view.a || mark.t > view.b || (bad && !bad.has(mark.violation.index))) continue;
    const at = x(mark.t),
      y = spot(placed, mark),
      hue = mark.violation.failed ? c.bad : c.warn;
    if (mark.last) {
      if (at - before < 1) continue;
      before = at;
      ctx.fillStyle = hue;
      ctx.strokeStyle = c.panel;
      ctx.lineWidth = 1.5;
      ctx.beginPath();
      ctx.moveTo(at, y - radius);
      ctx.lineTo(at + radius, y);
      ctx.lineTo(at, y + radius);
      ctx.lineTo(at - radius, y);
      ctx.closePath();
      ctx.fill();
      ctx.stroke();
    } else if (!placed.small) {
      ctx.strokeStyle = hue;
      ctx.lineWidth = 1.5;
      ctx.beginPath();
      ctx.arc(at, y, 4.5, 0, 7);
      ctx.stroke();
    }
  }
}

function chosen(ctx) {
  // What is selected: a message, a run, a connection, or the proof of a violation.
  const what = view.chosen,
    c = view.colours;
  if (!what) return;
  if (what.example) {
    const points = [];
    for (const record of what.example.witness) {
      const placed = view.where.get(record.lane);
      if (placed) points.push([x(record.t), spot(placed, record), record]);
    }
    ctx.strokeStyle = c.bad;
    ctx.lineWidth = 1.5;
    ctx.setLineDash([4, 3]);
    ctx.beginPath();
    points.forEach(([px, py], n) => (n ? ctx.lineTo(px, py) : ctx.moveTo(px, py)));
    ctx.stroke();
    ctx.setLineDash([]);
    ctx.font = `700 10px ${SANS}`;
    ctx.textAlign = 'center';
    ctx.textBaseline = 'middle';
    points.forEach(([px, py], n) => {
      ctx.fillStyle = c.bad;
      ctx.strokeStyle = c.panel;
      ctx.lineWidth = 2;
      ctx.beginPath();
      ctx.arc(px, py, 8, 0, 7);
      ctx.fill();
      ctx.stroke();
      ctx.fillStyle = c.panel;
      ctx.fillText(n + 1, px, py + 0.5);
    });
    ctx.textAlign = 'left';
  } else if (what.event !== undefined) {
    const placed = view.where.get(view.tape.e.lane[what.event]);
    if (!placed) return;
    const at = x(view.tape.e.t[what.event]),
      y = spot(placed, { at: what.event });
    ctx.strokeStyle = c.accent;
    ctx.lineWidth = 2;
    round(ctx, at - 6, y - Math.max(5, placed.size / 2 - 1), 12, Math.max(10, placed.size - 2), 5);
    ctx.stroke();
  }
}

function label(ctx, placed) {
  const { lane } = placed,
    top = placed.y - view.top,
    c = view.colours;
  ctx.save();
  ctx.beginPath();
  ctx.rect(0, AXIS, view.gutter, view.tall);
  ctx.clip();
  ctx.fillStyle = c.gutter;
  ctx.fillRect(0, top, view.gutter, placed.tall + 1);
  if (
    lane.bad && view.find.bad !== null
      ? [...view.find.bad].some((v) => view.tape.violations[v].lanes.has(lane.index))
      : lane.bad
  ) {
    ctx.fillStyle = c.bad;
    ctx.fillRect(0, top, 3, placed.tall);
  }
  if (placed.tall >= 11) {
    ctx.font = `${placed.tall >= 20 ? '600 12.5px' : '11px'} ${SANS}`;
    ctx.textBaseline = 'middle';
    ctx.textAlign = 'left';
    const two = placed.tall >= 36,
      middle = top + (two ? placed.tall / 2 - 8 : placed.tall / 2);
    ctx.fillStyle = c.ink;
    ctx.fillText(short(ctx, lane.name, view.gutter - 26), 14, middle);
    if (two) {
      ctx.font = `11px ${SANS}`;
      ctx.fillStyle = c.dim;
      const said = `${lane.events.toLocaleString('en')} messages${lane.conns.length > 1 ? ` · ${lane.conns.length} connections` : ''}`;
      ctx.fillText(short(ctx, said, view.gutter - 26), 14, middle + 16);
    }
  }
  if (placed.size >= 8) {
    ctx.fillStyle = c.line;
    ctx.fillRect(0, top + placed.tall, view.gutter, 1);
  }
  ctx.restore();
}
function short(ctx, text, room) {
  if (text.length > 60) text = `${text.slice(0, 60)}…`;
  while (text.length > 1 && ctx.measureText(text).width > room) text = `${text.slice(0, -2)}…`;
  return text;
}
