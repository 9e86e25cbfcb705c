// Schedules: templates that run by the clock.
import {$, html, put, toast} from './dom.js';
import {api} from './api.js';
import {live, ready} from './live.js';
import {showRunning} from './shell.js';
import {act, button, forget, none, onSave, run} from './workflow.js';
import {millis, minute, num, t} from './text.js';

/** Milliseconds between two looks: a run that was made shows up without a reload. */
const EVERY = 15000;
const path = name => '/schedules/' + encodeURIComponent(name);

async function load() {
  const {schedules} = await api('/schedules', {quiet: true});
  put($('rows'), schedules.length ? html`${schedules.map(row)}` : none(9, t('schedules.none')));
}

function row(one) {
  const next = one.enabled ? minute(millis(one.nextAt)) + ' UTC' : t('schedules.off');
  const last = one.lastJob ? html`<a class="link" href="/jobs/${one.lastJob}">#${one.lastJob}</a> ${one.lastAt && minute(millis(one.lastAt))}` : '–';
  const actions = html`${button('run', one.name, t('schedules.run'))}${button(one.enabled ? 'disable' : 'enable', one.name, t(one.enabled ? 'schedules.disable' : 'schedules.enable'))}${button('remove', one.name, t('workflow.remove'), {kind: 'dng'})}`;
  return html`<tr><td class="strong">${one.name}</td><td>${one.template}</td><td><code>${one.cron}</code> ${one.zone}</td><td>${next}</td><td>${last}</td>
    <td class="n">${num(one.runs)}</td><td class="n">${num(one.missed)}</td><td class="n">${num(one.refused)}</td><td class="n">${$('form') && html`<span class="row">${actions}</span>`}</td></tr>
    ${one.error && html`<tr><td></td><td colspan="8" class="wrap"><span class="note bad">${one.error}</span></td></tr>`}`;
}

async function choices() {
  const {templates} = await api('/templates', {quiet: true});
  put($('template'), html`${templates.map(one => html`<option>${one.name}</option>`)}`);
  $('no-template').hidden = templates.length > 0;
  $('save').disabled = !templates.length;
}

act($('rows'), {
  run: name => run(path(name) + '/run'),
  enable: name => api(path(name) + '/enable', {method: 'POST'}),
  disable: name => api(path(name) + '/disable', {method: 'POST'}),
  remove: name => forget(path(name), t('schedules.remove_ask', {name})),
}, load);

if ($('form')) {
  onSave($('form'), data => {
    const text = name => (data.get(name) ?? '').trim();
    return api('/schedules', {body: {name: text('name'), template: text('template'), cron: text('cron'), zone: text('zone')}, quiet: true});
  }, load);
}

Promise.all([load(), $('form') && choices()]).then(ready, error => toast(error.message));
live(message => showRunning(message.counts), () => load().catch(() => null));
setInterval(() => document.hidden || $('rows').contains(document.activeElement) || load().catch(() => null), EVERY);
