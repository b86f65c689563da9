// The filter: words and user:, event:, run:, invariant:, all of which must hold.

const asPattern = (text) =>
  new RegExp(
    text
      .split('*')
      .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
      .join('.*'),
    'i',
  );

function filter() {
  const { tape, find } = view;
  Object.assign(find, { kinds: null, lanes: null, bad: null, windows: null });
  const both = (a, b) => (a ? new Set([...a].filter((one) => b.has(one))) : b);
  const { e } = tape;
  const lanesOfKinds = (flags) =>
    new Set(
      tape.lanes
        .filter((lane) => {
          for (let i = lane.begin; i < lane.end; i++) if (flags[e.kind[i]]) return true;
          return false;
        })
        .map((lane) => lane.index),
    );
  const kindsLike = (p) => tape.kinds.map((kind) => p.test(kind.name));
  const usersLike = (p) => new Set(tape.lanes.filter((lane) => p.test(lane.name)).map((lane) => lane.index));
  const runsLike = (p) => tape.runs.filter((run) => p.test(run.label) || p.test(run.span));
  const badLike = (p) => tape.violations.filter((v) => p.test(v.invariant) || v.fingerprint === p.source);
  const take = {
    user: (p) => {
      find.lanes = both(find.lanes, usersLike(p));
    },
    event: (p) => {
      const like = kindsLike(p);
      find.kinds = find.kinds ? like.map((yes, n) => yes && find.kinds[n]) : like;
      find.lanes = both(find.lanes, lanesOfKinds(find.kinds));
    },
    run: (p) => {
      const runs = runsLike(p);
      find.windows ??= new Map();
      for (const run of runs) find.windows.set(run.lane, [...(find.windows.get(run.lane) ?? []), [run.begin, run.end]]);
      find.lanes = both(find.lanes, new Set(runs.map((run) => run.lane)));
    },
    invariant: (p) => {
      const bad = badLike(p);
      find.bad = both(find.bad, new Set(bad.map((v) => v.index)));
      find.lanes = both(find.lanes, new Set(bad.flatMap((v) => [...v.lanes])));
    },
  };
  for (const word of $('search').value.match(/(?:\w+:)?"[^"]*"|\S+/g) ?? []) {
    const found = /^(user|event|run|invariant):(.*)$/.exec(word),
      text = (found ? found[2] : word).replaceAll('"', '');
    if (!text) continue;
    const pattern = asPattern(text);
    if (found) take[found[1]](pattern);
    else if (usersLike(pattern).size) take.user(pattern);
    else if (badLike(pattern).length) take.invariant(pattern);
    else if (kindsLike(pattern).includes(true)) take.event(pattern);
    else take.run(pattern);
  }
  for (const row of document.querySelectorAll('[data-kind]')) {
    const on = !find.kinds || find.kinds[row.dataset.kind];
    row.classList.toggle('off', !on);
    row.setAttribute('aria-pressed', String(Boolean(find.kinds && on)));
  }
  for (const row of document.querySelectorAll('[data-violation]'))
    row.hidden = Boolean(find.bad && !find.bad.has(Number(row.dataset.violation)));
  arrange();
  redraw();
  where();
}
function only(what, text) {
  const word = `${what}:${/\s/.test(text) ? `"${text}"` : text}`,
    search = $('search');
  search.value = search.value.trim() === word ? '' : word;
  filter();
}

function where() {
  const { tape } = view;
  if (!tape.lanes.length) return void ($('where').textContent = '');
  $('where').textContent =
    `${clock(Math.max(0, view.a), (view.b - view.a) / 100)} to ${clock(Math.min(tape.end, view.b), (view.b - view.a) / 100)}` +
    ` · ${plural(view.lanes.length, 'user')}${view.lanes.length < tape.facts.totals[0] ? ` of ${count(tape.facts.totals[0])}` : ''}`;
}
