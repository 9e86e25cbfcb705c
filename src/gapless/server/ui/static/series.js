// One series: its rows as candles, a line or a table, with the gaps marked; click a gap to fill it.
import {$, all, given, html, put, say} from './dom.js';
import {api, query} from './api.js';
import {live, ready} from './live.js';
import {showRunning} from './shell.js';
import {settled} from './keys.js';
import {exact, instant, millis, num, t} from './text.js';
import {Chart} from './chart.js';
import {spanWords} from './spans.js';

const MOST = 1000;
const SHOWN = 200;
const NUMBERS = new Set(['float', 'int', 'decimal']);
const page = given('series');
const dataset = page.dataset;
const path = `/series/${dataset.name}/${page.name.split('/').map(encodeURIComponent).join('/')}`;
const numbers = dataset.columns.filter(one => NUMBERS.has(one.type)).map(one => one.name);
const hasCandles = ['open', 'high', 'low', 'close'].every(name => numbers.includes(name));
let rows = [];
let gaps = [];
let view = hasCandles ? 'candles' : 'line';
let value = hasCandles ? 'close' : ['dps', 'value', 'close', 'score'].find(name => numbers.includes(name)) ?? numbers[0];
/** Several records of one time are told apart by this: a line through shares of two kinds would be nobody's. */
const kindBy = hasCandles ? undefined : dataset.key[0];
let kind = null;
let isAll = false;
let loading = null;

const chart = new Chart({
  box: $('chart'), canvas: $('canvas'), legend: $('ohlc'), said: text => say($('told'), text),
  gap: (from, to) => location.assign('/new?' + fillWords(from, to)),
  older: () => older(),
});

function fillWords(from, to) {
  const [name, report] = dataset.variants?.length ? page.name.split('/') : [page.name];
  return query({dataset: dataset.name, series: name, report, ...spanWords(dataset, from, to)});
}

/** Numbers for the chart; decimals come as text. */
function read(found) {
  return found.rows.map(values => {
    const row = Object.fromEntries(found.columns.map((name, i) => [name, values[i]]));
    numbers.forEach(name => { if (typeof row[name] === 'string') row[name] = Number(row[name]); });
    row.time = millis(values[found.columns.indexOf('time')]);
    return row;
  });
}

async function load() {
  const found = await api(`${path}/rows?` + query({last: MOST}));
  rows = read(found);
  gaps = (found.gaps ?? []).map(([a, b]) => [millis(a), millis(b)]);
  isAll = rows.length < MOST;
  show();
}

/** The kinds of records that come again and again, the most frequent first; none where each is one of its own. */
function kinds() {
  const counts = new Map();
  if (kindBy) rows.forEach(row => counts.set(row[kindBy], (counts.get(row[kindBy]) ?? 0) + 1));
  return counts.size > 1 && counts.size < rows.length ? [...counts].sort((a, b) => b[1] - a[1]).map(([name]) => name) : [];
}

function ofKind() {
  const found = kinds();
  if (!found.includes(kind)) kind = found[0] ?? null;
  $('kind').hidden = view !== 'line' || !found.length;
  put($('kind'), html`${found.map(name => html`<option ${name === kind ? html`selected` : ''}>${name}</option>`)}`);
  return kind === null ? rows : rows.filter(row => row[kindBy] === kind);
}

function older() {
  if (isAll || loading || !rows.length) return;
  loading = api(`${path}/rows?` + query({last: MOST, end: new Date(rows[0].time).toISOString()}), {quiet: true}).then(found => {
    const before = read(found).filter(row => row.time < rows[0].time);
    isAll = before.length === 0;
    const edge = rows[0].time;
    rows = [...before, ...rows];
    gaps = [...(found.gaps ?? []).map(([a, b]) => [millis(a), millis(b)]).filter(([a]) => a < edge && a >= (before[0]?.time ?? Infinity)), ...gaps];
    show();
  }).catch(() => {}).finally(() => { loading = null; });
}

function show() {
  const isTable = view === 'table';
  $('nothing').hidden = rows.length > 0;
  $('chart').hidden = isTable || !rows.length;
  $('table').hidden = !isTable || !rows.length;
  $('fit').hidden = isTable;
  $('value').hidden = view !== 'line' || hasCandles;
  all('#views button').forEach(one => one.setAttribute('aria-pressed', one.value === view));
  say($('extent'), rows.length ? t('series.extent', {a: instant(rows[0].time, dataset.period * 1000), b: instant(rows.at(-1).time, dataset.period * 1000), n: num(rows.length), more: isAll ? '' : '+'}) : '');
  const charted = ofKind();
  if (isTable) return twin();
  chart.mode = view;
  const fields = hasCandles ? {open: 'open', high: 'high', low: 'low', close: 'close', volume: numbers.includes('volume') ? 'volume' : null} : {close: value};
  chart.set({rows: charted, gaps, fields, step: dataset.period * 1000});
  gapLinks();
}

/** The newest rows in HTML, for reading and for screen readers. */
function twin() {
  const names = dataset.columns.map(one => one.name);
  put($('table-head'), html`<tr><th scope="col">time</th>${dataset.columns.map(one => html`<th scope="col" class="${NUMBERS.has(one.type) ? 'n' : ''}">${one.name}</th>`)}</tr>`);
  put($('table-rows'), html`${rows.slice(-SHOWN).reverse().map(row => html`<tr><td>${new Date(row.time).toISOString().replace('.000Z', 'Z')}</td>${names.map(name => html`<td class="${numbers.includes(name) ? 'n' : ''}">${exact(row[name])}</td>`)}</tr>`)}`);
}

function gapLinks() {
  put($('gap-links'), html`${gaps.slice(-12).reverse().map(([from, to]) => html`<a class="btn sm" href="/new?${fillWords(from, to)}">${t('series.fill')} ${instant(from, to - from)} – ${instant(to, to - from)}</a>`)}`);
}

$('views').addEventListener('click', event => {
  if (!event.target.value) return;
  view = event.target.value;
  show();
});
$('fit').addEventListener('click', () => chart.fit());
if (!hasCandles) {
  $('kind').addEventListener('change', () => { kind = $('kind').value; show(); });
  put($('value'), html`${numbers.map(name => html`<option ${name === value ? html`selected` : ''}>${name}</option>`)}`);
  $('value').addEventListener('change', () => { value = $('value').value; show(); });
}

const again = settled(() => load().catch(() => {}), 3000);
load().then(ready, error => {
  $('nothing').hidden = false;
  say($('nothing-text'), error.message);
});
live(message => {
  if (message.k !== 'jobs') return;
  showRunning(message.counts);
  if (message.counts?.running && message.d?.length && isAll) again();
  document.documentElement.dataset.tick = message.rev;
}, load);
