// What is stored of each series, as a map and as a list of gaps; both lead to filling them.
import {$, all, confirmed, given, html, put, say, toast} from './dom.js';
import {api, query} from './api.js';
import {live, ready} from './live.js';
import {showRunning} from './shell.js';
import {settled} from './keys.js';
import {instant, millis, num, t} from './text.js';
import {Heatmap, legend} from './heatmap.js';
import {spanWords} from './spans.js';
import './dates.js';

const GAPS = 500;
const datasets = new Map(given('datasets').map(one => [one.name, one]));
const asked = new URLSearchParams(location.search);
const filter = {q: asked.get('q') ?? '', dataset: asked.get('dataset') ?? '', only: asked.get('only') ?? '', from: asked.get('from') ?? '', to: asked.get('to') ?? ''};
let view = asked.get('view') === 'list' ? 'list' : 'map';

const heatmap = new Heatmap({
  box: $('heat'), canvas: $('canvas'), pad: $('pad'), status: $('told'),
  load: async (offset, limit, width) => {
    const found = await api('/coverage?' + query({...filter, width, offset, limit}));
    $('nothing').hidden = found.total > 0;
    $('heat').hidden = view === 'list' || !found.total;
    return found;
  },
  open: (one, from, to) => location.assign('/new?' + address(one, from, to)),
});

function address(one, from, to) {
  const dataset = datasets.get(one.dataset), [name, report] = dataset?.variants?.length ? one.series.split('/') : [one.series];
  return query({dataset: one.dataset, series: name, report, ...spanWords(dataset, from, to)});
}

// -- the list of gaps: the table twin of the map

/** Gaps are gaps, whether or not the map leaves the complete series out. */
const complete = ({q, dataset, from, to}) => ({q, dataset, from, to});

async function gaps() {
  const found = await api('/coverage/gaps?' + query({...complete(filter), limit: GAPS}));
  say($('gap-count'), found.total ? num(found.total) : '');
  $('fill-all').disabled = !found.total;
  say($('range'), found.total > found.gaps.length ? t('table.range', {a: 1, b: num(found.gaps.length), n: num(found.total)}) : '');
  put($('gap-rows'), found.gaps.length ? html`${found.gaps.map(row)}` : html`<tr><td colspan="6" class="none">${t('coverage.no_gaps')}</td></tr>`);
}

function row(one) {
  const from = millis(one.start), to = millis(one.end), failed = one.state !== 'missing';
  return html`<tr><td><a class="link" href="/series/${one.dataset}/${one.series}">${one.series}</a> <span class="mut">${one.dataset}</span></td>
    <td>${instant(from, to - from)}</td><td>${instant(to, to - from)}</td><td class="n">${num(one.cells)}</td>
    <td title="${one.reason ?? ''}"><span class="chip" data-s="${failed ? 'failed' : 'warn'}">${t(failed ? 'coverage.failed' : 'coverage.missing')}</span></td>
    <td class="do"><a class="btn sm" href="/new?${address(one, from, to)}${failed ? '&mode=missing%2Bfailed' : ''}" aria-label="${t('coverage.fill')}: ${one.series} ${instant(from, to - from)}">${t('coverage.fill')}</a></td></tr>`;
}

/** Series with a gap, by dataset; a page of gaps at a time. */
async function wanting() {
  const wishes = new Map();
  let seen = 0, found;
  do {
    found = await api('/coverage/gaps?' + query({...complete(filter), limit: GAPS, offset: seen}));
    for (const one of found.gaps) wishes.set(one.dataset, (wishes.get(one.dataset) ?? new Set()).add(one.series));
    seen += found.gaps.length;
  } while (seen < found.total && found.gaps.length);
  return {wishes, ...found};
}

/** One job for each dataset, over every series that has a gap. */
async function fillAll() {
  const {wishes, total, from, to} = await wanting();
  const series = [...wishes.values()].reduce((n, names) => n + names.size, 0);
  if (!await confirmed(t('coverage.fill_all_ask', {gaps: num(total), series: num(series), jobs: num(wishes.size)}), t('coverage.fill_all'), t('confirm.no'))) return;
  const made = [];
  for (const [dataset, names] of wishes) {
    const span = spanWords(datasets.get(dataset), millis(from), millis(to));
    made.push(await api('/batch/jobs', {body: {dataset, series: [...names], ...span, mode: 'missing+failed', name: t('coverage.fill_all')}}));
  }
  location.assign(made.length === 1 ? '/jobs/' + made[0].id : '/jobs');
}

// -- filters

async function reload() {
  history.replaceState(null, '', '?' + query({...filter, view: view === 'list' ? view : ''}));
  all('#views button').forEach(one => one.setAttribute('aria-pressed', one.value === view));
  $('list').hidden = view !== 'list';
  $('heat').hidden = view === 'list';
  await Promise.all([view === 'map' ? heatmap.reload() : null, gaps()]);
}
const anew = () => reload().catch(error => toast(error.message));

$('views').addEventListener('click', event => {
  if (!event.target.value) return;
  view = event.target.value;
  anew();
});
for (const name of ['q', 'from', 'to']) {
  $(name).value = filter[name];
  $(name).addEventListener('input', settled(() => { filter[name] = $(name).value.trim(); anew(); }, 300));
}
$('dataset').value = filter.dataset;
$('dataset').addEventListener('change', () => { filter.dataset = $('dataset').value; anew(); });
$('only').checked = filter.only === 'gaps';
$('only').addEventListener('change', () => { filter.only = $('only').checked ? 'gaps' : ''; anew(); });
$('fill-all').addEventListener('click', () => fillAll().catch(() => {}));

legend(all('.legend canvas'));
reload().then(ready, error => toast(error.message));

// While jobs run the map is drawn anew now and then; the picture stays where it is.
const changed = settled(() => { heatmap.reload(true).catch(() => {}); gaps().catch(() => {}); }, 3000);
let working = false;
live(message => {
  if (message.k !== 'jobs') return;
  showRunning(message.counts);
  const now = Boolean(message.counts?.running);
  if (now !== working || (now && message.d?.length)) changed();
  working = now;
  document.documentElement.dataset.tick = message.rev;
}, anew);
