// Health at a glance: workers, queues, budgets, the server itself.
import {$, all, html, icon, put, say, toast} from './dom.js';
import {api} from './api.js';
import {live, ready} from './live.js';
import {showRunning} from './shell.js';
import {area} from './area.js';
import {bytes, decimal, duration, millis, num, t} from './text.js';

const ROOM = 240;
const rates = [];
const chip = (state, words) => html`<span class="chip" data-s="${state}">${icon(state === 'good' ? 's-done' : state === 'warn' ? 's-incomplete' : 's-failed', 14)}${words}</span>`;
const meter = (share, label) => html`<div class="prog"><div class="bar" role="meter" aria-label="${label}" aria-valuemin="0" aria-valuemax="100" aria-valuenow="${Math.round(share * 100)}" data-s="${share > .95 ? 'high' : ''}"><i class="f"></i></div><span class="p">${Math.round(share * 100)}%</span></div>`;

async function load() {
  const [now, metrics] = await Promise.all([api('/system', {quiet: true}), api('/batch/metrics', {quiet: true})]);
  tiles(now, metrics);
  workers(now.workers);
  queues(now.queues);
  budgets(now.budgets);
}

const HEALTH = {HEALTHY: 'good', DEGRADED: 'warn', UNHEALTHY: 'failed'};
const sized = count => { const [n, unit] = bytes(count); return html`${n}<small>${unit}</small>`; };

function tiles(now, metrics) {
  const health = metrics.health.status;
  put($('health'), chip(HEALTH[health] ?? 'warn', t('system.health_' + health.toLowerCase())));
  put($('k-loop'), html`${decimal(now.process.loopLagMs ?? 0)}<small>ms</small>`);
  put($('k-memory'), html`${sized(now.process.memoryBytes)}<small>CPU ${num(now.process.cpuPercent ?? metrics.performance.cpuUsage)}%</small>`);
  put($('k-queue'), html`${num(metrics.system.queuedJobs)}<small>${t('system.active', {n: num(metrics.system.activeJobs)})}</small>`);
  put($('k-database'), now.database.bytes === null ? html`${now.database.kind}`
    : html`${sized(now.database.bytes)}<small>${now.database.kind}${now.database.walBytes ? ` · WAL ${bytes(now.database.walBytes).join(' ')}` : ''}</small>`);
  say($('today'), t('system.today', {done: num(metrics.system.completedToday), failed: num(metrics.system.failedToday), share: decimal(metrics.health.errorRate * 100), up: duration(now.process.uptime)}));
}

const none = (columns, words) => html`<tr><td colspan="${columns}" class="mut wrap">${words}</td></tr>`;

function workers(list) {
  put($('workers'), html`${list.length ? list.map(one => html`<tr><td class="strong">${one.name || one.id.slice(0, 8)}</td><td>${one.host ?? '–'}</td><td class="wrap">${one.queues.join(', ')}</td>
    <td class="n">${num(one.busy ?? 0)} / ${num(one.slots)}</td><td class="n">${duration(one.silence ?? 0)}</td></tr>`) : none(5, t('system.no_workers'))}`);
}

function queues(list) {
  put($('queues'), html`${list.map(one => html`<tr><td class="strong">${one.name}</td><td class="n">${num(one.waiting)}</td><td class="n">${num(one.running)}</td><td class="n">${num(one.slots)}</td></tr>`)}`);
}

function budgets(list) {
  put($('budgets'), html`${list.length ? list.map(one => {
    const blocked = one.blockedUntil && millis(one.blockedUntil) > Date.now(), label = `${t('system.used')} ${one.source} ${one.group}`;
    return html`<tr><td class="strong">${one.source}</td><td>${one.group}${one.scope ? ` · ${one.scope}` : ''}</td>
      <td>${chip(blocked ? 'warn' : 'good', blocked ? t('system.blocked', {x: duration((millis(one.blockedUntil) - Date.now()) / 1000)}) : t('system.open'))}</td>
      <td>${meter(Math.min(1, one.used ?? 0), label)}</td><td class="n">${one.rate ? `${decimal(one.rate)} ${t('unit.rps')}` : '∞'}</td>
      <td class="n">${one.daily ? `${num(one.usedToday ?? 0)} / ${num(one.daily)}` : '–'}</td><td class="n">${num(one.requests ?? 0)}</td><td class="n">${num(one.refusals ?? 0)}</td></tr>`;
  }) : none(8, t('system.no_budgets'))}`);
  all('#budgets .bar').forEach(bar => bar.style.setProperty('--f', bar.getAttribute('aria-valuenow') / 100));
}

function throughput() {
  area($('area'), rates, {room: ROOM, seconds: 120, height: 150});
  say($('rate-now'), `${decimal(rates.at(-1) ?? 0)} ${t('unit.rps')}`);
}

const often = () => document.hidden || load().catch(() => {});
load().then(() => {
  throughput();
  new ResizeObserver(throughput).observe($('area'));
  setInterval(often, 2000);
  live(message => {
    if (message.k !== 'jobs') return;
    showRunning(message.counts);
    rates.push(message.thru ?? 0);
    if (rates.length > ROOM) rates.shift();
    throughput();
    document.documentElement.dataset.tick = message.rev;
  }, often);
  ready();
}, error => toast(error.message));
