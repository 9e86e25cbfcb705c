// One job: where both ends have got to, its segments, its throughput, its errors, its log.
import {$, html, put, say} from './dom.js';
import {api, query} from './api.js';
import {live, ready} from './live.js';
import {showRunning} from './shell.js';
import {area} from './area.js';
import {fileRow, filesOf} from './files.js';
import {Growing} from './growing.js';
import {bigBar} from './bigbar.js';
import {Log} from './log.js';
import {settled} from './keys.js';
import {decimal, duration, instant, known, millis, num, pct, t} from './text.js';
import {act, changes, chip, isActive, paintVerbs, subtitle, textButtons, title} from './jobview.js';

const ID = Number($('job').dataset.job);
const ROOM = 120;
const rates = [];
const log = new Log($('log'), $('level'), $('follow'));
const files = new Growing('files', {
  ask: async () => ({rows: await filesOf(ID), cursor: null}),
  row: one => fileRow(ID, one),
  none: () => html`<div>${t('reports.no_files')}</div>`,
});
let job, forecast = null;

async function load() {
  const [found, parts, lines] = await Promise.all([
    api(`/batch/jobs/${ID}`), api(`/batch/jobs/${ID}/segments`),
    api(`/batch/jobs/${ID}/logs?` + query(log.last ? {after: log.last} : {tail: 500})),
  ]);
  job = found;
  paint();
  segments(parts.segments);
  errors(found.errors ?? []);
  log.add(lines.lines);
  if (job.kind === 'report') files.refresh();
  foresee();
}

/** How long it will still take; a job that has ended, or has no end, is not asked for. */
async function foresee() {
  const isAsked = job.end !== null && (isActive(job) || job.state === 'paused');
  const said = isAsked ? await api(`/forecast/jobs/${ID}`, {quiet: true}).catch(() => null) : null;
  forecast = said?.forecast ?? null;
  stats();
}
/** Segments, errors and reasons are read again while the job moves, at most once a second. */
const reload = settled(() => load().catch(() => {}), 900);

// -- the parts of the page

function paint() {
  document.title = `#${ID} ${title(job)} · gapless`;
  say($('series'), title(job));
  say($('name'), subtitle(job).split(' · ').slice(1).join(' · '));
  if ($('state').dataset.s !== job.state) {
    $('state').dataset.s = job.state;
    put($('state'), chip(job.state));
  }
  paintVerbs($('verbs'), job, textButtons);
  $('findings').hidden = job.kind !== 'validate';
  $('files-of').hidden = job.kind !== 'report';
  bigBar($('big'), job);
  stats();
  reasons();
  units();
}

function stats() {
  const isOpen = job.end === null;
  const facts = [
    [t('col.progress'), isOpen ? '∞' : pct(job.percent / 100)],
    [t('job.requests'), isOpen ? num(job.requests) : html`${num(job.requests)} <small>/ ${num(job.requests + (job.requestsLeft ?? 0))}</small>`],
    [t('job.rows'), num(job.rows)],
    [t('col.ok'), num(job.ok)], [t('unit.cached'), num(job.cached)], [t('col.skip'), num(job.skip)],
    [t('col.fail'), num(job.fail), job.fail > 0],
    [t('col.rate'), job.state === 'running' ? html`${decimal(job.rate ?? 0)} <small>${t('unit.rps')}</small>` : '–'],
    [t('col.eta'), job.state === 'running' ? duration(job.eta) : '–'],
    [t('job.forecast'), forecast ? html`${duration(forecast.p50)} <small>– ${duration(forecast.p90)}</small>` : '–'],
    [t('job.elapsed'), duration(elapsed())],
  ];
  if (job.forecast?.p90 !== undefined) facts.push([t('job.forecast'), `${duration(job.forecast.p50)} – ${duration(job.forecast.p90)}`]);
  put($('stats'), html`${facts.map(([name, value, isBad]) => html`<div><span>${name}</span><b class="${isBad ? 'bad' : ''}">${value}</b></div>`)}`);
}

const elapsed = () => ((job.endedAt ? millis(job.endedAt) : Date.now()) - millis(job.startedAt ?? job.createdAt)) / 1000;

/** Why it waits, where it waits; what is wrong, where something is. */
function reasons() {
  // "It is failed: …" says nothing more than the error above it.
  const more = (job.reasons ?? []).filter(one => !job.error || !one.includes(job.error));
  const told = [...new Set([job.error, ...more])].filter(Boolean);
  const isBad = Boolean(job.error);
  $('why').hidden = !told.length || (job.state === 'running' && !isBad) || job.state === 'done';
  const list = html`${told.map(one => html`<p class="note ${isBad && one === job.error ? 'bad' : ''}">${one}</p>`)}`;
  const now = told.join('\n');
  if ($('why').dataset.told !== now) {
    $('why').dataset.told = now;
    put($('why'), list);
  }
}

/** What people count in a prefetch: (stock, year) pairs. */
function units() {
  $('units').hidden = !job.units;
  if (!job.units) return;
  const one = job.units;
  const at = one.series ? [one.series, one.period ? one.period.slice(0, 4) : ''].join(' ') : '–';
  put($('unit-list'), html`${[
    [t('unit.total'), num(one.total)], [t('unit.processed'), num(one.processed)], [t('col.ok'), num(one.ok)],
    [t('unit.cached'), num(one.cached)], [t('col.skip'), num(one.skip)], [t('col.fail'), num(one.fail), one.fail > 0],
    [t('unit.now'), at],
  ].map(([name, value, isBad]) => html`<div><span>${name}</span><b class="${isBad ? 'bad' : ''}">${value}</b></div>`)}`);
  say($('unit-error'), one.error ? t('unit.error', {x: one.error}) : '');
}

function segments(list) {
  const span = job.end === null ? Infinity : millis(job.end) - millis(job.start);
  const order = {running: 0, waiting: 1, failed: 2, held: 2, done: 3, cancelled: 4};
  const shown = [...list].sort((a, b) => (order[a.state] ?? 5) - (order[b.state] ?? 5) || a.id - b.id).slice(0, 100);
  const many = new Set(list.map(one => one.series)).size > 1;
  say($('segment-count'), list.length > shown.length ? t('job.first_of', {a: num(shown.length), n: num(list.length)}) : '');
  put($('segments'), html`${shown.map(one => {
    const back = one.direction === 'backward', at = value => instant(millis(value), span);
    return html`<tr><td><i class="sw" data-k="${one.state === 'done' ? 'done' : one.side === 'recent' ? 'bwd' : 'fwd'}"></i>${back ? '←' : '→'} ${many ? one.series : t('job.' + one.direction)}</td>
      <td>${at(one.start)} – ${at(one.end)}</td><td>${one.state === 'done' ? '–' : at(one.cursor)}</td>
      <td title="${one.error}">${known('segment.' + one.state) ? t('segment.' + one.state) : one.state}</td><td class="n">${num(one.requests)}</td><td class="n">${num(one.rows)}</td></tr>`;
  })}`);
}

function errors(list) {
  if (!list.length) return put($('errors'), html`<p class="mut">${t('job.no_errors')}</p>`);
  put($('errors'), html`${list.map(one => html`<div class="err"><code><span class="mut">${one.event}</span> ${one.message}</code><b>${t('job.times', {n: num(one.count)})}</b><span class="mut">${t('job.ago', {x: duration((Date.now() - millis(one.lastAt)) / 1000)})}</span></div>`)}`);
}

function throughput() {
  area($('area'), rates, {room: ROOM, seconds: 60});
  say($('rate-now'), job?.state === 'running' ? `${decimal(rates.at(-1) ?? 0)} ${t('unit.rps')}` : '');
}

// -- verbs

$('verbs').addEventListener('click', async event => {
  const verb = event.target.closest('[data-verb]')?.dataset.verb;
  if (!verb) return;
  const now = await act(ID, verb);
  if (!now) return;
  if (verb === 'clone') return location.assign('/jobs/' + now.id);
  Object.assign(job, now);
  paint();
  reload();
});

// -- live

function hear(message) {
  if (message.k === 'log') return message.job === ID && log.add(message.lines);
  if (message.k !== 'jobs') return;
  showRunning(message.counts);
  const now = changes(message).get(ID);
  rates.push(now?.rate ?? (isActive(job) ? rates.at(-1) ?? 0 : 0));
  if (rates.length > ROOM) rates.shift();
  if (now) {
    Object.assign(job, now);
    paint();
    reload();
  }
  throughput();
  document.documentElement.dataset.tick = message.rev;
}

load().then(() => {
  throughput();
  new ResizeObserver(() => { bigBar($('big'), job); throughput(); }).observe($('big'));
  live(hear, load, ['log:' + ID]);
  ready();
}, error => {
  put($('main'), html`<div class="none"><p>${error.status === 404 ? t('job.missing', {id: ID}) : error.message}</p><a class="btn" href="/jobs">${t('nav.jobs')}</a></div>`);
});
