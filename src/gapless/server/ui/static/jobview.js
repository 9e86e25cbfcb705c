// What is shown of a job in several places: its state, its actions, its double-ended bar.
import {all, confirmed, html, icon, put, say, toast} from './dom.js';
import {api} from './api.js';
import {day, instant, millis, num, pct, t} from './text.js';

/** The verbs that fit a state, the likeliest first. */
const VERBS = {
  pending: ['pause', 'cancel'], running: ['pause', 'cancel'], paused: ['resume', 'cancel'],
  incomplete: ['retry', 'clone'], failed: ['retry', 'clone'], cancelled: ['retry', 'clone'], done: ['clone'],
};
/** Viewers look on. */
export const mayAct = document.documentElement.dataset.role !== 'viewer';
export const verbsOf = state => (mayAct && VERBS[state]) || [];
export const STATES = Object.keys(VERBS);
export const isActive = job => job.state === 'running' || job.state === 'pending';

/** Fields of the compact rows of a live message, in order. */
const LIVE = ['id', 'state', 'percent', 'forward', 'backward', 'ok', 'cached', 'skip', 'fail', 'rows', 'requests', 'rate', 'eta'];

/** Compact rows as objects, by job. */
export function changes(message) {
  return new Map((message.d ?? []).map(values => [values[0], Object.fromEntries(LIVE.map((name, i) => [name, values[i]]))]));
}

/** What the job works on: one series by name, several by number. */
export function title(job) {
  if (!job.series?.length) return job.dataset;
  const rest = job.seriesCount - 1;
  return rest > 0 ? t('job.series_more', {series: job.series[0], n: num(rest)}) : job.series[0];
}

/** The second line: number, dataset and the name people gave. */
export const subtitle = job => [`#${job.id}`, job.dataset, job.name === job.dataset ? '' : job.name].filter(Boolean).join(' · ');

export const chip = state => html`<span class="chip" data-s="${state}">${icon('s-' + state, 14)}${t('state.' + state)}</span>`;

/** Where both ends of a bar have got to, in words: of several series each is elsewhere, so shares are told. */
export function frontiers(job) {
  if (job.end === null) return {first: day(millis(job.start)), last: '', text: t('job.standing')};
  const start = millis(job.start), end = millis(job.end), span = end - start;
  const isOne = job.seriesCount === 1;
  const first = isOne ? instant(start + span * job.forward, span) : pct(job.forward);
  const last = isOne ? instant(end - span * job.backward, span) : pct(job.backward);
  return {start, end, span, isOne, first, last, text: t('bar.told', {p: pct(job.percent / 100), first, last})};
}

export const barMarkup = label => html`<div class="prog"><div class="bar" role="progressbar" aria-valuemin="0" aria-valuemax="100" aria-label="${t('col.progress')} ${label}"><i class="f"></i><i class="b"></i></div><span class="p"></span><span class="e"><span></span><span></span></span></div>`;

/** Without the year where the time of day is told: both ends share the width of a bar. */
const brief = text => (text.length > 10 ? text.slice(5) : text);

/** Bring a row's bar up to date: two ends that grow toward each other. */
export function paintBar(prog, job) {
  const [bar, percent, ends] = prog.children, told = frontiers(job);
  const isStanding = job.end === null, isDone = job.state === 'done' || job.percent >= 100;
  bar.style.setProperty('--f', isStanding ? 0 : job.forward);
  bar.style.setProperty('--b', isStanding ? 0 : job.backward);
  if (isStanding) bar.removeAttribute('aria-valuenow');
  else bar.setAttribute('aria-valuenow', Math.floor(job.percent));
  if (bar.getAttribute('aria-valuetext') !== told.text) bar.setAttribute('aria-valuetext', told.text);
  say(percent, isStanding ? '∞' : pct(job.percent / 100));
  say(ends.children[0], isStanding ? `${told.first} →` : isDone ? brief(instant(told.start, told.span)) : `→ ${brief(told.first)}`);
  say(ends.children[1], isStanding ? '' : isDone ? brief(instant(told.end, told.span)) : `${brief(told.last)} ←`);
}

export const iconButtons = job => verbsOf(job.state).map(verb => html`<button class="btn ico" data-verb="${verb}" aria-label="${t('verb.' + verb)}: ${title(job)}" title="${t('verb.' + verb)}">${icon('i-' + verb)}</button>`);
export const textButtons = job => verbsOf(job.state).map(verb => html`<button class="btn ${verb === 'cancel' ? 'dng' : ''}" data-verb="${verb}">${icon('i-' + verb)}${t('verb.' + verb)}</button>`);

/** Do a verb to one job, asking first where it cannot be undone; the job afterwards, or null. */
export async function act(id, verb) {
  if (verb === 'cancel' && !await sure(1)) return null;
  const job = await api(`/batch/jobs/${id}/${verb}`, {method: 'POST'}).catch(() => null);
  if (job && verb === 'clone') toast(t('job.cloned', {id: job.id}));
  return job;
}

export const sure = n => confirmed(t('confirm.cancel', {n: num(n)}), t('verb.cancel'), t('confirm.keep'));

/** Keep the same buttons in the document while the state stays: focus is not lost under live updates. */
export function paintVerbs(node, job, buttons) {
  if (node.dataset.for === job.state) return;
  const had = node.contains(document.activeElement);
  node.dataset.for = job.state;
  put(node, html`${buttons(job)}`);
  if (had) all('button', node)[0]?.focus();
}
