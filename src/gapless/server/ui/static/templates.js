// Templates: saved settings of a fill.
import {$, html, icon, put, say, toast} from './dom.js';
import {api, query} from './api.js';
import {live, ready} from './live.js';
import {showRunning} from './shell.js';
import {act, button, forget, none, onSave, run} from './workflow.js';
import {millis, minute, t} from './text.js';

const path = name => '/templates/' + encodeURIComponent(name);
const MOST = 4;

function told(settings) {
  const {dataset, series = [], days, start, end, ...more} = settings;
  const names = series.slice(0, MOST).join(', ') + (series.length > MOST ? ` … (${series.length})` : '');
  const span = days ? t('templates.last_days', {n: days}) : [start, start && '–', end].filter(Boolean).join(' ');
  const others = Object.entries(more).map(([key, value]) => `${key} ${typeof value === 'object' ? JSON.stringify(value) : value}`);
  return [dataset || t('templates.of_before'), names, span, ...others].filter(Boolean).join(' · ');
}

async function load() {
  const {templates} = await api('/templates', {quiet: true});
  put($('rows'), templates.length ? html`${templates.map(row)}` : none(5, t('templates.none')));
  const then = $('then');
  if (!then) return;
  const chosen = then.value;
  put(then, html`<option value="">${t('templates.nothing')}</option>${templates.map(one => html`<option>${one.name}</option>`)}`);
  then.value = templates.some(one => one.name === chosen) ? chosen : '';
}

function row(one) {
  const {dataset = ''} = one.settings;
  return html`<tr><td class="strong">${one.name}</td><td class="wrap">${told(one.settings)}</td><td>${one.then.join(' → ') || '–'}</td><td>${minute(millis(one.changedAt))}</td>
    <td>${$('form') && html`<span class="acts">${dataset && html`<a class="btn ico" href="/new?${query({template: one.name})}" aria-label="${t('templates.open')}: ${one.name}" title="${t('templates.open')}">${icon('i-copy')}</a>${button('run', one.name, t('templates.run'), 'i-start')}`}${button('remove', one.name, t('workflow.remove'), 'i-cancel')}</span>`}</td></tr>`;
}

act($('rows'), {
  run: name => run(path(name) + '/run'),
  remove: name => forget(path(name), t('templates.remove_ask', {name})),
}, load);

if ($('form')) {
  const example = () => say($('series-hint'), t('new.series_hint', {example: $('dataset').selectedOptions[0]?.dataset.example ?? '…'}));
  $('dataset').addEventListener('change', example);
  example();
  onSave($('form'), data => {
    const text = name => (data.get(name) ?? '').trim();
    const settings = {dataset: text('dataset'), series: text('series'), mode: data.get('mode'), priority: data.get('priority')};
    if (text('start')) settings.start = text('start');
    else if (text('days')) settings.days = Number(text('days'));
    if (text('end')) settings.end = text('end');
    return api('/templates', {body: {name: text('name'), settings, then: text('then') ? [text('then')] : []}, quiet: true});
  }, load);
}

load().then(ready, error => toast(error.message));
live(message => showRunning(message.counts), () => load().catch(() => null));
