// The list of jobs: one row per backfill, whatever its segments.
import {$, all, html, icon, makeRow, put, putSvg, say} from './dom.js';
import {api, query} from './api.js';
import {live, ready} from './live.js';
import {showRunning} from './shell.js';
import {settled} from './keys.js';
import {decimal, duration, num, t} from './text.js';
import {act, barMarkup, changes, iconButtons, mayAct, paintBar, paintVerbs, subtitle, sure, title} from './jobview.js';
import {VirtualTable} from './table.js';

const TABS = ['', 'running', 'pending', 'paused', 'incomplete,failed', 'done', 'cancelled'];
const TAB_WORDS = {'': 'jobs.all', 'incomplete,failed': 'jobs.attention'};
const BULK = ['pause', 'resume', 'retry', 'cancel'];
const NEWEST = '-created';

const asked = new URLSearchParams(location.search);
const filter = {q: asked.get('q') ?? '', state: asked.get('state') ?? asked.get('status') ?? '', source: asked.get('source') ?? '', sort: asked.get('sort') ?? NEWEST};
const picked = new Set();
let everything = false;
/** How many jobs there were when the list was read, and the newest of them. */
let known = null;
let newest = '';
let etas = new Map();
const rates = [];

// -- rows

function makeView(job) {
  const tr = makeRow(html`<tr class="r" data-id="${job.id}">
    <td><input type="checkbox" aria-label="${t('col.select')} #${job.id} ${title(job)}"></td>
    <td title="${title(job)}"><a class="s1" href="/jobs/${job.id}">${title(job)}</a><span class="s2">${subtitle(job)}</span></td>
    <td>${barMarkup(title(job))}</td><td class="x3"><span class="chip"></span></td>
    <td class="n x2"></td><td class="n x2"></td><td class="n x2"></td><td class="n x1"></td><td class="n x3"></td>
    <td class="x3"><div class="acts"></div></td></tr>`);
  const [select, , bar, state, ok, skip, fail, rate, eta, acts] = tr.cells;
  return {tr, select: select.firstChild, bar: bar.firstChild, chip: state.firstChild, ok, skip, fail, rate, eta, acts: acts.firstChild};
}

function paint(view, job) {
  paintBar(view.bar, job);
  say(view.ok, num(job.ok));
  say(view.skip, num(job.skip));
  say(view.fail, num(job.fail));
  view.skip.classList.toggle('zero', !job.skip);
  view.fail.classList.toggle('zero', !job.fail);
  view.fail.classList.toggle('bad', job.fail > 0);
  say(view.rate, job.state === 'running' ? decimal(job.rate ?? 0) : '–');
  say(view.eta, job.state === 'running' ? duration(job.eta) : '–');
  const on = everything || picked.has(job.id);
  view.tr.setAttribute('aria-selected', on);
  view.select.checked = on;
  if (view.tr.dataset.s !== job.state) {
    view.tr.dataset.s = view.chip.dataset.s = job.state;
    put(view.chip, html`${icon('s-' + job.state, 14)}${t('state.' + job.state)}`);
  }
  view.chip.title = job.reason ?? '';
  paintVerbs(view.acts, job, iconButtons);
}

const table = new VirtualTable({
  box: $('scroll'), body: $('rows'), height: 54, head: 36, make: makeView, paint,
  load: async (offset, limit) => {
    const page = await api('/batch/jobs?' + query({...filter, offset, limit, upTo: newest}));
    if (known === null) {
      counts(page.counts);
      // A message comes when something happens, and often nothing does.
      if (!filter.q && !filter.source) states(page.counts);
      known = sum(page.counts);
      freshness(page.counts);
      // Pages do not shift under somebody who scrolls while new jobs come.
      if (filter.sort === NEWEST && offset === 0) newest = page.jobs[0]?.id ?? '';
    }
    return {rows: page.jobs, total: page.total};
  },
  open: job => location.assign('/jobs/' + job.id),
  select: job => pick(job.id, !picked.has(job.id)),
  none: row => {
    const isFiltered = filter.q || filter.state || filter.source;
    put(row.firstChild, html`<div>${t(isFiltered ? 'jobs.none' : 'jobs.empty')}</div>${isFiltered
      ? html`<button class="btn" id="unfilter">${t('jobs.unfilter')}</button>`
      : html`<a class="btn pri" href="/new">${icon('i-plus')}${t('new.title')}</a>`}`);
    return row;
  },
});

// -- filters

function reload() {
  const words = query({...filter, sort: filter.sort === NEWEST ? '' : filter.sort});
  history.replaceState(null, '', words ? '?' + words : location.pathname);
  all('button', $('tabs')).forEach(tab => tab.setAttribute('aria-pressed', tab.value === filter.state));
  all('th[data-k]').forEach(head => head.setAttribute('aria-sort',
    filter.sort.replace('-', '') !== head.dataset.k ? 'none' : filter.sort.startsWith('-') ? 'descending' : 'ascending'));
  clear();
  return anew();
}

function anew() {
  known = null;
  newest = '';
  return table.reset();
}

put($('tabs'), html`${TABS.map(state => html`<button value="${state}" aria-pressed="false">${t(TAB_WORDS[state] ?? 'state.' + state)}<span class="n"></span></button>`)}`);
$('tabs').addEventListener('click', event => {
  const tab = event.target.closest('button');
  if (!tab) return;
  filter.state = tab.value;
  reload();
});
document.querySelector('thead').addEventListener('click', event => {
  const key = event.target.closest('th[data-k] button')?.parentElement.dataset.k;
  if (!key) return;
  filter.sort = filter.sort === '-' + key ? key : '-' + key;
  reload();
});
$('q').value = filter.q;
$('q').addEventListener('input', settled(() => { filter.q = $('q').value.trim(); reload(); }));
$('source').value = filter.source;
$('source').addEventListener('change', () => { filter.source = $('source').value; reload(); });
$('rows').addEventListener('click', event => {
  if (event.target.id !== 'unfilter') return;
  Object.assign(filter, {q: '', state: '', source: ''});
  $('q').value = $('source').value = '';
  reload();
});

// -- tiles and tabs

const sum = values => Object.values(values ?? {}).reduce((a, b) => a + b, 0);

function counts(now) {
  if (!now) return;
  for (const tab of all('button', $('tabs'))) {
    say(tab.lastChild, num(tab.value ? tab.value.split(',').reduce((n, state) => n + (now[state] ?? 0), 0) : sum(now)));
  }
}

/** Of all jobs, whatever the list is narrowed to. */
function states(now) {
  say($('k-running').firstChild, num(now.running ?? 0));
  say($('k-running').lastChild, t('kpi.waiting', {n: num(now.pending ?? 0)}));
  say($('k-trouble'), num((now.failed ?? 0) + (now.incomplete ?? 0)));
}

function tiles(message) {
  const now = message.counts ?? {};
  showRunning(now);
  states(now);
  say($('k-rate').firstChild, decimal(message.thru ?? 0));
  say($('k-eta'), etas.size ? t('kpi.in', {x: duration(Math.max(...etas.values()))}) : '–');
  rates.push(message.thru ?? 0);
  if (rates.length > 60) rates.shift();
  spark();
}

function spark() {
  if (rates.length < 2) return;
  const top = Math.max(...rates) * 1.05 || 1;
  const points = rates.map((rate, i) => `${118 - (rates.length - 1 - i) * 2},${(33 - rate / top * 30).toFixed(1)}`).join(' ');
  putSvg($('spark'), html`<polyline fill="none" stroke="var(--fwd)" stroke-width="1.5" points="${points}"/>`);
}

/** New jobs wait behind a chip: rows do not jump under somebody's eyes. */
function freshness(now) {
  const fresh = known === null ? 0 : sum(now) - known;
  $('fresh').hidden = fresh <= 0;
  if (fresh > 0) say($('fresh'), t('jobs.fresh', {n: num(fresh)}));
}
$('fresh').addEventListener('click', anew);

// -- selection and verbs

function pick(id, on) {
  if (everything) {
    everything = false;
    table.rows.forEach(row => row && picked.add(row.id));
  }
  if (on) picked.add(id);
  else picked.delete(id);
  bulkBar();
}

function clear() {
  picked.clear();
  everything = false;
  bulkBar();
}

function bulkBar() {
  const n = everything ? table.total : picked.size;
  $('bulk').hidden = !n || !mayAct;
  $('all').checked = everything;
  $('all').indeterminate = !everything && n > 0;
  if (n) put($('bulk'), html`<b>${t('jobs.selected', {n: num(n)})}</b>${BULK.map(verb => html`<button class="btn sm ${verb === 'cancel' ? 'dng' : ''}" data-bulk="${verb}">${icon('i-' + verb)}${t('verb.' + verb)}</button>`)}<button class="btn sm" data-bulk="">${t('jobs.clear')}</button>`);
  table.repaint();
}

async function bulk(verb) {
  const n = everything ? table.total : picked.size;
  if (verb === 'cancel' && !await sure(n)) return;
  const body = everything ? {verb, filter: {q: filter.q, state: filter.state, source: filter.source}} : {verb, ids: [...picked]};
  const done = await api('/batch/jobs/bulk', {body}).catch(() => null);
  if (!done) return;
  say($('told'), t('jobs.bulk_done', {n: num(done.done), refused: num(done.refused.length)}));
  clear();
  await table.refresh();
}

$('bulk').addEventListener('click', event => {
  const verb = event.target.closest('[data-bulk]')?.dataset.bulk;
  if (verb === '') clear();
  else if (verb) bulk(verb);
});
$('all').addEventListener('change', () => {
  picked.clear();
  everything = $('all').checked;
  bulkBar();
});
$('rows').addEventListener('click', async event => {
  const job = table.at(event.target);
  if (!job) return;
  const verb = event.target.closest('[data-verb]')?.dataset.verb;
  if (verb) {
    const now = await act(job.id, verb);
    if (now && verb !== 'clone') table.change(new Map([[now.id, now]]));
    else if (now) anew();
  } else if (event.target.type === 'checkbox') {
    pick(job.id, event.target.checked);
  }
});

// -- live

function hear(message) {
  if (message.k !== 'jobs') return;
  const now = changes(message);
  now.forEach((job, id) => {
    if (job.state === 'running' && job.eta !== null) etas.set(id, job.eta);
    else etas.delete(id);
  });
  if (!message.counts?.running) etas = new Map();
  table.change(now);
  tiles(message);
  // Counts of a filtered list come with its pages; those of all jobs with each message.
  if (!filter.q && !filter.source) counts(message.counts);
  if (!filter.q && !filter.source) freshness(message.counts);
  document.documentElement.dataset.tick = message.rev;
}

reload().then(ready);
live(hear, () => {
  known = null;
  newest = '';
  table.refresh();
});
