// What validations have found: a score for each series, and each finding with what was seen.
import {$, all, confirmed, html, icon, put, say, toast} from './dom.js';
import {api, query} from './api.js';
import {live, ready} from './live.js';
import {showRunning} from './shell.js';
import {settled} from './keys.js';
import {onSave} from './workflow.js';
import {Growing} from './growing.js';
import {changes, chip, isActive} from './jobview.js';
import {day, exact, instant, millis, minute, num, t} from './text.js';

const VALIDATIONS = 100;
const LOOK = {error: 'failed', warning: 'incomplete'};
const asked = new URLSearchParams(location.search);
const filter = {job: asked.get('job') ?? '', q: asked.get('q') ?? '', rule: asked.get('rule') ?? '', severity: asked.get('severity') ?? ''};
let jobs = new Map();
let isChosen = false;

const named = () => ({job: filter.job, series: filter.q});
const path = (dataset, series) => `/series/${encodeURIComponent(dataset)}/${series.split('/').map(encodeURIComponent).join('/')}`;
const seen = (dataset, series, words = {}) => html`<a class="btn ico" href="/coverage?${query({dataset, q: series, ...words})}" aria-label="${t('nav.coverage')}: ${series}" title="${t('nav.coverage')}">${icon('i-coverage')}</a>`;

// -- both tables

const none = () => (filter.job
  ? html`<div>${t(filter.q || filter.rule || filter.severity ? 'findings.none_here' : isActive(jobs.get(filter.job) ?? {}) ? 'findings.wait' : 'findings.clean')}</div>`
  : html`<div>${t($('form') ? 'findings.nothing' : 'findings.nothing_short')}</div>`);

const verdicts = new Growing('verdicts', {
  ask: async cursor => {
    if (!filter.job) return {rows: [], cursor: null};
    const page = await api('/findings/series?' + query({job: filter.job, cursor, limit: 20}), {quiet: true});
    return {rows: page.series, cursor: page.cursor};
  },
  row: one => {
    const dataset = jobs.get(filter.job)?.dataset ?? '';
    return html`<tr><td class="strong"><a class="link" href="${path(dataset, one.series)}">${one.series}</a></td>
      <td class="n">${exact(one.score)}</td><td class="n">${num(one.rows)}</td><td class="n">${num(one.errors)}</td><td class="n">${num(one.warnings)}</td>
      <td><span class="acts">${seen(dataset, one.series)}</span></td></tr>`;
  },
  none,
});

const findings = new Growing('rows', {
  ask: async cursor => {
    if (!filter.job) return {rows: [], cursor: null};
    const page = await api('/findings?' + query({...named(), rule: filter.rule, severity: filter.severity, cursor, limit: 50}), {quiet: true});
    if (!cursor) counts(page.counts);
    return {rows: page.findings, cursor: page.cursor};
  },
  row: one => {
    const start = millis(one.start), end = millis(one.end), length = end - start;
    const around = {from: day(start - 864e5), to: day(Math.min(end, Date.now()) + 864e5)};
    return html`<tr><td><span class="chip" data-s="${LOOK[one.severity]}">${icon('s-' + LOOK[one.severity], 14)}${t('findings.' + one.severity)}</span></td>
      <td><code>${one.rule}</code></td><td><a class="link" href="${path(one.dataset, one.series)}">${one.series}</a></td>
      <td>${instant(start, length)} – ${instant(end, length)}</td><td class="n">${num(one.rows)}</td><td class="wrap">${one.evidence}</td>
      <td><span class="acts">${seen(one.dataset, one.series, around)}</span></td></tr>`;
  },
  none,
});

/** How many there are of each severity and rule; the filter of rules offers those that found something. */
function counts(list) {
  const sum = fits => list.filter(fits).reduce((n, one) => n + one.count, 0);
  for (const tab of all('button', $('severity'))) say(tab.lastChild, num(sum(one => !tab.value || one.severity === tab.value)));
  const rules = [...new Set([...list.map(one => one.rule), filter.rule].filter(Boolean))];
  put($('rule'), html`<option value="">${t('findings.rules')}</option>${rules.map(rule => html`<option value="${rule}">${rule} (${num(sum(one => one.rule === rule))})</option>`)}`);
  $('rule').value = filter.rule;
  $('repair').disabled = !list.length;
  say($('told'), t('findings.count', {n: num(sum(one => (!filter.rule || one.rule === filter.rule) && (!filter.severity || one.severity === filter.severity)))}));
}

// -- which validation, and the filters

async function validations() {
  const page = await api('/batch/jobs?' + query({kind: 'validate', limit: VALIDATIONS}), {quiet: true});
  jobs = new Map(page.jobs.map(job => [String(job.id), job]));
  filter.job ||= String(page.jobs[0]?.id ?? '');
  if (filter.job && !jobs.has(filter.job)) {
    const older = await api('/batch/jobs/' + encodeURIComponent(filter.job), {quiet: true}).catch(() => null);
    if (older?.kind === 'validate') jobs.set(filter.job, older);
  }
  put($('job'), jobs.size ? html`${[...jobs.values()].map(job => html`<option value="${job.id}">#${job.id} ${job.dataset} · ${minute(millis(job.createdAt))}</option>`)}` : html`<option value="">${t('findings.nothing_short')}</option>`);
  $('job').value = filter.job;
  const dataset = jobs.get(filter.job)?.dataset;
  if (dataset && $('form') && !isChosen) $('dataset').value = dataset;
  state();
}

function state() {
  const job = jobs.get(filter.job);
  put($('state'), html`${job && html`<a href="/jobs/${job.id}">${chip(job.state)}</a>`}`);
}

function show() {
  const words = query(filter);
  history.replaceState(null, '', words ? '?' + words : location.pathname);
  all('button', $('severity')).forEach(tab => tab.setAttribute('aria-pressed', tab.value === filter.severity));
  state();
  return Promise.all([findings.reset(), verdicts.reset()]);
}

$('job').addEventListener('change', () => { Object.assign(filter, {job: $('job').value, rule: ''}); show(); });
$('rule').addEventListener('change', () => { filter.rule = $('rule').value; show(); });
$('severity').addEventListener('click', event => {
  const tab = event.target.closest('button');
  if (tab) { filter.severity = tab.value; show(); }
});
$('q').value = filter.q;
$('q').addEventListener('input', settled(() => { filter.q = $('q').value.trim(); show(); }));

// -- what can be done about it

$('repair').addEventListener('click', async () => {
  if (!await confirmed(t('findings.repair_ask', {id: filter.job}), t('findings.repair'), t('confirm.no'))) return;
  $('repair').disabled = true;
  const said = await api(`/batch/jobs/${filter.job}/repair`, {method: 'POST'}).catch(() => null);
  if (said?.job) return location.assign('/jobs/' + said.job.id);
  $('repair').disabled = false;
  if (said) toast(t('findings.repaired_nothing'));
});

if ($('form')) {
  // What was chosen while the page still read must not change under the hand.
  $('dataset').addEventListener('change', () => { isChosen = true; });
  onSave($('form'), data => api('/batch/data-validation', {body: {dataset: data.get('dataset'), series: data.get('series').trim(), level: data.get('level')}, quiet: true}), async made => {
    Object.assign(filter, {job: String(made.id), q: '', rule: '', severity: ''});
    $('q').value = '';
    await validations();
    await show();
  });
}

// A validation that runs finds more and more.
const later = settled(() => { findings.refresh(); verdicts.refresh(); }, 900);
function hear(message) {
  showRunning(message.counts);
  const now = message.k === 'jobs' && changes(message).get(Number(filter.job));
  if (!now || !jobs.has(filter.job)) return;
  Object.assign(jobs.get(filter.job), now);
  state();
  later();
}

validations().then(show, error => findings.say(html`<div>${error.message}</div>`)).then(ready);
live(hear, () => validations().then(later, () => null));
