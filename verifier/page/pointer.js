// The pointer: what is where on the canvas; hover, click, drag, wheel, and the strip on top.

function hit(px, py) {
  // What is at a place of the canvas.
  const placed = view.visible?.find((p) => py + view.top >= p.y && py + view.top < p.y + p.tall);
  if (!placed || px < view.gutter || py < AXIS) return placed && px < view.gutter ? { lane: placed.lane } : null;
  const { lane, small } = placed,
    { e, kinds, conns } = view.tape;
  let best = null,
    near = 9;
  for (const mark of lane.marks) {
    if (view.find.bad && !view.find.bad.has(mark.violation.index)) continue;
    const far = Math.hypot(x(mark.t) - px, small ? 0 : spot(placed, mark) - py) + (mark.last ? 0 : 1);
    if (far < near) {
      near = far;
      best = { mark, lane };
    }
  }
  if (best?.mark.last) return best;
  const row = py + view.top - placed.y,
    t = time(px);
  if (!small && row < placed.band) {
    const run = lane.runs.findLast(
      (one) => t >= one.begin && t <= one.end && one.row === Math.floor((row - 1) / runHeight()),
    );
    if (run) return { run, lane };
  }
  const track = small ? 0 : Math.floor((row - placed.band - 4) / placed.size),
    side = (row - placed.band - 4) % placed.size > placed.size / 2 ? 1 : 0;
  const reach = (7 * (view.b - view.a)) / (view.width - view.gutter);
  let close = Infinity,
    event;
  for (let i = lower(e.t, lane.begin, lane.end, t - reach * 40); i < lane.end && e.t[i] <= t + reach; i++) {
    if (view.find.kinds && !view.find.kinds[e.kind[i]]) continue;
    if (!small && (lane.track.get(e.conn[i]) ?? 0) !== track) continue;
    const long = e.flags[i] & SEVERAL ? view.tape.several.get(i)[1] : 0;
    const far = Math.max(0, e.t[i] - t, t - e.t[i] - long) + (small || kinds[e.kind[i]].dir === side ? 0 : reach / 3);
    if (far < close && far <= reach) {
      close = far;
      event = i;
    }
  }
  if (event !== undefined) return { event, lane };
  const conn = lane.conns
    .map((index) => conns[index])
    .find((one) => t >= one.opened && t <= one.closed && (small || lane.track.get(one.index) === track));
  return conn ? { conn, lane } : { lane };
}

function pointer() {
  const canvas = $('canvas'),
    at = (event) => {
      const box = canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
  let held = null;
  canvas.addEventListener('pointerdown', (event) => {
    if (event.button) return;
    held = { px: event.clientX, a: view.a, b: view.b, moved: false };
    $('scroller').focus({ preventScroll: true });
  });
  window.addEventListener('pointermove', (event) => {
    if (!held) return;
    const by = event.clientX - held.px;
    if (Math.abs(by) > 4 && !held.moved) {
      held.moved = true;
      canvas.classList.add('drag');
      tip(null);
    }
    if (held.moved) {
      const span = held.b - held.a,
        shift = (by / (view.width - view.gutter)) * span;
      setWindow(held.a - shift, held.b - shift);
    }
  });
  window.addEventListener('pointerup', () => {
    canvas.classList.remove('drag');
    setTimeout(() => {
      held = null;
    });
  });
  canvas.addEventListener('pointermove', (event) => {
    if (held?.moved) return;
    const [px, py] = at(event),
      found = hit(px, py);
    view.hover = { x: px, y: py };
    const live = found && (found.mark || found.event !== undefined || found.run || found.conn || px < view.gutter);
    canvas.classList.toggle('hot', Boolean(live));
    tip(live ? found : null, event.clientX, event.clientY);
    redraw();
  });
  canvas.addEventListener('pointerleave', () => {
    view.hover = null;
    tip(null);
    redraw();
  });
  canvas.addEventListener('click', (event) => {
    if (held?.moved) return;
    const found = hit(...at(event));
    if (found?.mark) choose({ violation: found.mark.violation, place: found.mark.place });
    else if (found?.event !== undefined) choose({ event: found.event });
    else if (found?.run) choose({ run: found.run });
    else if (found?.conn) choose({ conn: found.conn });
    else if (found && at(event)[0] < view.gutter) only('user', found.lane.name);
    else choose(null);
  });
  canvas.addEventListener('dblclick', (event) => {
    const [px] = at(event);
    if (px > view.gutter) zoom(0.3, time(px));
  });
  $('scroller').addEventListener(
    'wheel',
    (event) => {
      const [px] = at(event),
        sideways = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
      if (event.ctrlKey || event.metaKey || event.altKey) {
        event.preventDefault();
        zoom(Math.exp(clip(event.deltaY, -120, 120) * 0.004), time(Math.max(px, view.gutter)));
      } else if (Math.abs(sideways) > Math.abs(event.shiftKey ? 0 : event.deltaY)) {
        event.preventDefault();
        pan(sideways / (view.width - view.gutter));
      }
    },
    { passive: false },
  );
  $('scroller').addEventListener('scroll', redraw);
  const overviewAt = (event) => {
    const box = $('overview').getBoundingClientRect();
    return clip((event.clientX - box.left - view.gutter) / (box.width - view.gutter), 0, 1) * view.tape.end;
  };
  let from = null;
  $('overview').addEventListener('pointerdown', (event) => {
    from = overviewAt(event);
    $('overview').setPointerCapture(event.pointerId);
  });
  $('overview').addEventListener('pointermove', (event) => {
    if (from !== null && Math.abs(overviewAt(event) - from) > view.tape.end / 300)
      setWindow(Math.min(from, overviewAt(event)), Math.max(from, overviewAt(event)));
  });
  $('overview').addEventListener('pointerup', (event) => {
    const to = overviewAt(event),
      span = view.b - view.a;
    if (from !== null && Math.abs(to - from) <= view.tape.end / 300) setWindow(to - span / 2, to + span / 2);
    from = null;
  });
}
