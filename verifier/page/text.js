// Elements and texts: recorded text is put into text nodes only, and what cannot be seen in it is spelt out.

function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'on') for (const [event, act] of Object.entries(value)) made.addEventListener(event, act);
    else if (value !== undefined && value !== null && value !== false)
      made.setAttribute(name, value === true ? '' : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\u2028\u2029]/gu;
function visible(text, breaks = false) {
  // A text as nodes in which nothing is hidden and nothing reorders.
  const nodes = [];
  let at = 0;
  for (const found of text.matchAll(HIDDEN)) {
    if (breaks && (found[0] === '\n' || found[0] === '\t')) continue;
    if (found.index > at) nodes.push(text.slice(at, found.index));
    nodes.push(el('span', { class: 'esc' }, `\\u{${found[0].codePointAt(0).toString(16)}}`));
    at = found.index + found[0].length;
    if (nodes.length > 4000) break;
  }
  nodes.push(text.slice(at));
  return nodes;
}

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s"{}[\],:]+/g;
function pretty(text) {
  // A JSON text, indented and coloured; as it was sent, so long numbers and double keys stay.
  const nodes = [],
    tokens = text.match(TOKEN) ?? [];
  let depth = 0;
  const line = () => `\n${'  '.repeat(Math.min(depth, 40))}`;
  tokens.slice(0, 12000).forEach((token, n) => {
    if (token === '{' || token === '[') {
      depth += 1;
      nodes.push(token, '}]'.includes(tokens[n + 1]) ? '' : line());
    } else if (token === '}' || token === ']') {
      depth -= 1;
      nodes.push('{['.includes(tokens[n - 1]) ? '' : line(), token);
    } else if (token === ',') nodes.push(token, line());
    else if (token === ':') nodes.push(': ');
    else if (token[0] === '"') nodes.push(el('span', { class: tokens[n + 1] === ':' ? 'k' : 's' }, ...visible(token)));
    else nodes.push(el('span', { class: 'n' }, ...visible(token)));
  });
  if (tokens.length > 12000) nodes.push(' …');
  return el('pre', { tabindex: 0 }, ...nodes);
}

const count = (n) => n.toLocaleString('en');
const plural = (n, word) => `${count(n)} ${word}${n === 1 ? '' : 's'}`;
const arrow = (dir) => (dir === 1 || dir === 's2c' ? '←' : dir === 0 || dir === 'c2s' ? '→' : '·');
const since = (us) =>
  `${us < 0 ? '−' : '+'}${Math.abs(us) < 1e6 ? `${(Math.abs(us) / 1e3).toFixed(Math.abs(us) < 1e5 ? 2 : 0)} ms` : clock(Math.abs(us), 1e3)}`;
const bytes = (n) =>
  n < 1024 ? `${n} B` : n < 1 << 20 ? `${(n / 1024).toFixed(1)} KiB` : `${(n / (1 << 20)).toFixed(1)} MiB`;
const facts = (pairs) =>
  el(
    'dl',
    {},
    pairs
      .filter(([, value]) => value !== '' && value !== null && value !== undefined)
      .map(([name, value]) => [
        el('dt', {}, name),
        el(
          'dd',
          {},
          ...[value]
            .flat()
            .map((v) => (typeof v === 'string' ? visible(v) : v))
            .flat(),
        ),
      ]),
  );
