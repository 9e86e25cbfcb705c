// A new backfill: while the form is filled in, the plan beside it says what it would cost. Nothing is asked of a source.
import {$, all, given, html, put, say, toast} from './dom.js';
import {api, query} from './api.js';
import {live, ready} from './live.js';
import {showRunning} from './shell.js';
import {settled} from './keys.js';
import {decimal, duration, instant, millis, num, t} from './text.js';
import {fillCommand} from './command.js';
import {Recent} from './recent.js';
import {keepTemplate} from './keep.js';
import './dates.js';

const form = $('form');
const mayStart = document.documentElement.dataset.role !== 'viewer';
const datasets = new Map(given('datasets').map(one => [one.name, one]));
const template = given('template');
const recent = new Recent($('recent-rows'));
let asked = 0;
let plan = null;
/** Names the wish as it stands: sent twice, it still makes one job. */
let key = crypto.randomUUID();

// -- reading the form

/** Tickers in lines, commas or spaces; each once, in the order they were written. */
const tickers = text => [...new Set(text.split(/[\s,;]+/).filter(Boolean))];

function wish() {
  const data = new FormData(form), text = name => (data.get(name) ?? '').trim();
  const dataset = datasets.get(text('dataset')), hasYears = dataset?.hasUnits;
  return {
    dataset: dataset?.name ?? '', series: tickers(text('series')),
    start: text(hasYears ? 'startYear' : 'start'), end: text(hasYears ? 'endYear' : 'end'),
    mode: text('mode'), direction: text('direction'), recheck: Number(text('recheck') || 0),
    report: dataset?.variants?.length ? text('report') : '',
    name: text('name'), priority: text('priority'), rate: Number(text('rate')), autoStart: !data.has('hold'),
  };
}

const planned = one => ({
  dataset: one.dataset, series: one.series, start: one.start, end: one.end || undefined, mode: one.mode,
  direction: one.direction, recheck: one.recheck, report: one.report || undefined, rate: one.rate || undefined,
});

// -- what the choice of a dataset shows

function arrange() {
  const source = new FormData(form).get('source');
  for (const tile of all('#datasets-of label')) {
    tile.hidden = tile.dataset.source !== source;
    if (tile.hidden) tile.firstElementChild.checked = false;
  }
  if (!form.querySelector('[name=dataset]:checked')) {
    const first = form.querySelector(`#datasets-of label[data-source="${CSS.escape(source)}"][data-first]`) ?? form.querySelector(`#datasets-of label[data-source="${CSS.escape(source)}"]`);
    first.firstElementChild.checked = true;
  }
  const dataset = datasets.get(new FormData(form).get('dataset'));
  $('days').hidden = dataset.hasUnits;
  $('years').hidden = !dataset.hasUnits;
  $('reports').hidden = !dataset.variants?.length;
  if ($('report').dataset.for !== dataset.name) {
    $('report').dataset.for = dataset.name;
    put($('report'), html`${(dataset.variants ?? []).map(one => html`<option value="${one.code}">${one.code}${one.doc ? ` · ${one.doc}` : ''}</option>`)}`);
    if (dataset.variants?.some(one => one.code === $('report').dataset.chosen)) $('report').value = $('report').dataset.chosen;
  }
  $('series').placeholder = dataset.example ?? '';
  say($('series-hint'), t('new.series_hint', {example: dataset.example ?? ''}));
  say($('zone'), t('new.zone', {zone: dataset.zone}));
  say($('recheck-unit'), t(dataset.hasUnits ? 'new.recheck_years' : 'new.recheck_periods'));
  $('unready').hidden = !dataset.hint;
  say($('unready'), dataset.hint);
  if (recent.dataset !== dataset.name) {
    recent.load(dataset.name).catch(() => {});
    if ($('stored').open) stored();
  }
}

// -- series that are stored already

const STORED = 200;

async function stored() {
  const dataset = $('stored-set').value || new FormData(form).get('dataset');
  const page = await api('/series?' + query({dataset, q: $('stored-q').value.trim(), limit: STORED}));
  const there = new Set(wish().series);
  put($('stored-list'), page.series.length
    ? html`${page.series.map(one => html`<label><input type="checkbox" value="${one.series.split('/')[0]}" ${there.has(one.series.split('/')[0]) ? html`checked` : ''}>${one.series}</label>`)}`
    : html`<p class="mut">${t('new.stored_none')}</p>`);
  say($('stored-add'), t('new.stored_add', {n: num(page.series.length)}));
  $('stored-add').hidden = !page.series.length;
}

function toggleTicker(name, on) {
  const now = tickers($('series').value).filter(one => one !== name);
  if (on) now.push(name);
  $('series').value = now.join('\n');
  change();
}

$('stored').addEventListener('toggle', () => $('stored').open && stored());
$('stored-q').addEventListener('input', settled(stored));
$('stored-set').addEventListener('change', stored);
$('stored-list').addEventListener('change', event => { event.stopPropagation(); toggleTicker(event.target.value, event.target.checked); });
$('stored-add').addEventListener('click', () => {
  const names = all('#stored-list input').map(box => { box.checked = true; return box.value; });
  $('series').value = [...new Set([...tickers($('series').value), ...names])].join('\n');
  change();
});

// -- the plan

const FIELDS = {start: ['start', 'startYear'], end: ['end', 'endYear'], from: ['start', 'startYear'], to: ['end', 'endYear'], startDate: ['start', 'startYear'], endDate: ['end', 'endYear']};

function blame(error) {
  all('[aria-invalid]', form).forEach(field => { field.removeAttribute('aria-invalid'); field.removeAttribute('aria-describedby'); });
  $('wrong').hidden = !error;
  if (!error) return;
  say($('wrong'), error.message);
  mark(error, 'wrong');
}

/** Mark the field that an error names, and the words that say what is wrong; false where the form has no such field. */
function mark(error, words) {
  let isHere = false;
  for (const name of FIELDS[error.field] ?? [error.field]) {
    const field = name && form.elements[name];
    if (field instanceof HTMLElement) {
      field.setAttribute('aria-invalid', 'true');
      field.setAttribute('aria-describedby', words);
      isHere = true;
    }
  }
  return isHere;
}

function showPlan(found) {
  plan = found;
  say($('plan-requests'), found ? (found.least !== found.most ? t('plan.between', {a: num(found.least), b: num(found.most)}) : num(found.requests)) : '–');
  $('start-job').disabled = !found || !mayStart;
  if (!found) {
    ['plan-stack', 'plan-facts', 'plan-warnings', 'plan-ranges'].forEach(id => $(id).replaceChildren());
    $('plan-exact').hidden = true;
    return;
  }
  put($('plan-stack'), html`<i data-k="miss"></i><i data-k="fill"></i><i data-k="empty"></i>`);
  [found.missing, found.stored, found.empty].forEach((n, i) => $('plan-stack').children[i].style.setProperty('--w', n ?? 0));
  const fact = (name, value, key) => html`<div class="kv"><span>${key && html`<i class="sw" data-k="${key}"></i>`}${name}</span><span>${value}</span></div>`;
  put($('plan-facts'), html`${fact(t('plan.missing'), num(found.missing), 'miss')}${fact(t('plan.stored'), num(found.stored), 'fill')}
    ${found.empty > 0 && fact(t('plan.empty'), num(found.empty), 'empty')}
    ${found.unavailable > 0 && fact(t('plan.unavailable'), num(found.unavailable))}
    ${found.quarantined > 0 && fact(t('plan.quarantined'), num(found.quarantined), 'fail')}
    ${fact(t('plan.time'), html`<b>${duration(found.seconds)}</b> ${found.rate ? t('plan.at', {r: decimal(found.rate)}) : ''}`)}
    ${found.days > 1 && fact(t('plan.days'), t('plan.days_at', {n: num(found.days), daily: num(found.daily)}))}`);
  put($('plan-warnings'), html`${(found.warnings ?? []).map(one => html`<p class="note">${one}</p>`)}`);
  const ranges = found.series.flatMap(one => one.missing.map(([a, b]) => [one.series, millis(a), millis(b)]));
  $('plan-exact').hidden = !ranges.length;
  say($('plan-count'), t('plan.ranges', {n: num(found.series.reduce((n, one) => n + (one.ranges ?? one.missing.length), 0))}));
  put($('plan-ranges'), html`${ranges.slice(0, 200).map(([name, a, b]) => html`<li>${name}: ${instant(a, b - a)} – ${instant(b, b - a)}</li>`)}`);
}

async function look() {
  const now = wish(), me = ++asked;
  say($('command'), fillCommand(now));
  say($('series-count'), t('new.series_count', {n: num(now.series.length)}));
  say($('rate-told'), now.rate ? `${num(now.rate)} ${t('unit.rps')}` : t('new.rate_none'));
  keep(now);
  if (!now.series.length || !now.start) {
    blame(null);
    return showPlan(null);
  }
  try {
    const found = await api('/plan', {body: planned(now), quiet: true});
    if (me !== asked) return;
    blame(null);
    showPlan(found);
  } catch (error) {
    if (me !== asked) return;
    blame(error);
    showPlan(null);
  }
  document.documentElement.dataset.plan = me;
}

/** The address of the page holds the form, so that a reload and a bookmark keep it. */
function keep(now) {
  const words = query({
    dataset: now.dataset, series: now.series.length <= 50 ? now.series.join(',') : '', start: now.start, end: now.end,
    mode: now.mode === 'missing' ? '' : now.mode, report: now.report, name: now.name, recheck: now.recheck || '',
    direction: now.direction === 'both' ? '' : now.direction, priority: now.priority === 'normal' ? '' : now.priority,
    rate: now.rate || '', template: template?.name,
  });
  history.replaceState(null, '', '?' + words);
}

const later = settled(look, 200);
function change() {
  key = crypto.randomUUID();
  arrange();
  later();
}
form.addEventListener('input', change);
form.addEventListener('submit', async event => {
  event.preventDefault();
  const now = wish();
  $('start-job').disabled = true;
  try {
    const job = await api('/batch/jobs', {body: {...planned(now), name: now.name, priority: now.priority, autoStart: now.autoStart, planId: plan?.planId}, key, quiet: true});
    location.assign('/jobs/' + job.id);
  } catch (error) {
    toast(error.message);
    if (error.problem.difference) return changed(error.problem.difference);
    blame(error);
    $('start-job').disabled = !plan;
  }
});

/** The ledger has moved since the plan was shown: say by how much, and plan anew. */
async function changed(difference) {
  key = crypto.randomUUID();
  await look();
  const ranges = (which, word) => difference.flatMap(one => one[which].map(([a, b]) => html`<li>${t(word)}: ${one.series}, ${instant(millis(a), millis(b) - millis(a))} – ${instant(millis(b), millis(b) - millis(a))}</li>`));
  put($('plan-warnings'), html`<div class="note" role="status"><p>${t('plan.changed')}</p><ul class="ranges">${ranges('less', 'plan.less').slice(0, 20)}${ranges('more', 'plan.more').slice(0, 20)}</ul></div>`);
}
$('copy').addEventListener('click', async () => {
  await navigator.clipboard.writeText($('command').textContent);
  toast(t('plan.copied'));
});
$('from-template')?.addEventListener('change', event => event.target.value && location.assign('/new?' + query({template: event.target.value})));
if ($('keep')) keepTemplate(template, wish, mark);

arrange();
look().then(ready);
live(message => { recent.hear(message); showRunning(message.counts); }, () => { recent.load().catch(() => {}); look(); });
