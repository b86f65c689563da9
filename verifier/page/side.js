// The findings on the left: violations, what was judged, events, runs, marks.

function side() {
  const { tape } = view,
    nodes = [];
  const heading = (text, pill) => el('h2', {}, text, pill !== undefined && el('span', { class: 'pill' }, pill));
  for (const verdict of tape.about.verdicts) {
    const mine = tape.violations.filter((v) => v.contract === verdict.contract);
    nodes.push(heading(`Violations of ${verdict.contract}`, count(mine.length)));
    if (!mine.length)
      nodes.push(
        el(
          'p',
          { class: 'note' },
          verdict.verdict === 'pass'
            ? 'None: everything demanded holds.'
            : `None, and the verdict is ${verdict.verdict}.`,
        ),
      );
    for (const v of mine)
      nodes.push(
        el(
          'button',
          {
            class: 'row',
            type: 'button',
            'data-violation': v.index,
            on: { click: () => choose({ violation: v, place: 0 }) },
          },
          el(
            'div',
            { class: 'top' },
            el('span', { class: `dot ${v.failed ? 'bad' : 'warn'}` }),
            el('b', {}, v.invariant),
            el(
              'span',
              { class: 'times' },
              v.count > 1
                ? `${count(v.count)} times`
                : v.examples[0].witness.length
                  ? clock(v.examples[0].witness.at(-1).t)
                  : '',
            ),
          ),
          el('div', { class: 'why' }, v.examples[0].why),
        ),
      );
    if (verdict.more)
      nodes.push(el('p', { class: 'note' }, `${plural(verdict.more, 'more distinct violation')}: see --report json`));
    const signs = { passed: '✓', failed: '✕', error: '!', warning: '!', open: '?', 'not applicable': '–' };
    nodes.push(
      el(
        'details',
        {},
        el('summary', {}, `${plural(verdict.invariants.length, 'invariant')} judged`),
        verdict.invariants.map(([name, , title, , standing, n]) =>
          el(
            'div',
            { class: 'inv', title: `${standing}${title ? `: ${title}` : ''}` },
            el('span', {}, signs[standing] ?? ''),
            el('span', {}, name),
            el('span', { class: 'n' }, count(n)),
          ),
        ),
      ),
    );
    if (verdict.warnings.length)
      nodes.push(
        el(
          'details',
          {},
          el('summary', {}, plural(verdict.warnings.length, 'note')),
          verdict.warnings.map((warning) => el('p', {}, warning)),
        ),
      );
  }
  for (const [name, why] of tape.unjudged) nodes.push(el('p', { class: 'note' }, name && `${name}: `, why));
  nodes.push(heading('Messages by event'));
  for (const kind of [...tape.kinds].sort((a, b) => b.count - a.count).slice(0, 200)) {
    const dot = el('span', { class: 'dot' });
    dot.style.background = view.hues[kind.index];
    nodes.push(
      el(
        'button',
        {
          class: 'row kind',
          type: 'button',
          'data-kind': kind.index,
          'aria-pressed': 'false',
          title: `${kind.name}: click to see these only`,
          on: { click: () => only('event', kind.name) },
        },
        dot,
        el('span', { class: 'name' }, kind.name),
        el('span', { class: 'dir' }, kind.dir ? '← server' : '→ client'),
        el('span', { class: 'n' }, count(kind.count)),
      ),
    );
  }
  if (tape.runs.length) {
    nodes.push(heading('Runs', count(tape.runs.length)));
    nodes.push(
      el(
        'p',
        { class: 'note' },
        tape.facts.guessed
          ? 'Guessed: no contract says what a run is, so messages that name the same run_id are one.'
          : 'Bands above the connections; amber where a run came to none of its exits.',
      ),
    );
  }
  if (tape.marks.length > 2)
    nodes.push(
      heading('Marks', count(tape.marks.length)),
      tape.marks.slice(0, 40).map(([t, kind, data]) => el('p', { class: 'note', title: data }, `${clock(t)}  ${kind}`)),
    );
  $('side').replaceChildren(...nodes.flat());
}
