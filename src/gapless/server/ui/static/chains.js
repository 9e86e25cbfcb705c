// Chains: what waits for a job, and what it has become.
import {$, all, html, icon, make, put, say, toast} from './dom.js';
import {api, query} from './api.js';
import {live, ready} from './live.js';
import {showRunning} from './shell.js';
import {settled} from './keys.js';
import {act, button, forget, onSave} from './workflow.js';
import {Growing} from './growing.js';
import {num, t} from './text.js';

const MOST = 20;
const LOOK = {waiting: 'pending', started: 'done', failed: 'failed'};
const job = new URLSearchParams(location.search).get('job') ?? '';
const link = id => html`<a class="link" href="/jobs/${id}">#${id}</a>`;

const chains = new Growing('rows', {
  ask: async cursor => {
    const page = await api('/chains?' + query({job, cursor, limit: 50}), {quiet: true});
    return {rows: page.chains, cursor: page.cursor};
  },
  row: one => html`<tr><td>${link(one.job)}</td><td>${t('chains.' + one.after)}</td><td class="wrap">${one.steps.map(step => step.name || step.kind).join(' → ')}</td>
    <td><span class="chip" data-s="${LOOK[one.state]}">${icon('s-' + LOOK[one.state], 14)}${t('chains.' + one.state)}</span>${one.error && html`<div class="note ${one.state === 'failed' ? 'bad' : ''}">${one.error}</div>`}</td>
    <td>${one.nextJob ? link(one.nextJob) : '–'}</td><td>${$('form') && one.state === 'waiting' && html`<span class="acts">${button('remove', String(one.id), t('workflow.remove'), 'i-cancel')}</span>`}</td></tr>`,
  none: () => html`<div>${t('chains.none')}</div>`,
});

act($('rows'), {remove: id => forget('/chains/' + id, t('chains.remove_ask', {id: num(id)}))}, () => chains.reset());

/** A choice for each step, and one more while there is room: what is chosen last opens the next. */
function room(templates) {
  const chosen = all('select', $('steps'));
  if (chosen.length && !chosen.at(-1).value || chosen.length >= MOST) return;
  const n = chosen.length + 1;
  const step = make(html`<select class="in" name="templates" aria-label="${t('chains.step', {n})}"><option value="">${n === 1 ? t('chains.choose') : '–'}</option>${templates.map(one => html`<option>${one}</option>`)}</select>`);
  step.addEventListener('change', () => room(templates));
  $('steps').append(step);
}

async function choices() {
  const {templates} = await api('/templates', {quiet: true});
  $('no-template').hidden = templates.length > 0;
  $('save').disabled = !templates.length;
  const names = templates.map(one => one.name);
  put($('steps'), html``);
  if (names.length) room(names);
}

if ($('form')) {
  $('job').value = job;
  onSave($('form'), data => {
    const body = {job: Number(data.get('job').trim()) || data.get('job').trim(), templates: data.getAll('templates').filter(Boolean), after: data.get('after')};
    return api('/chains', {body, quiet: true});
  }, () => Promise.all([chains.reset(), choices()]));
}

$('only').hidden = !job;
say($('only').firstElementChild, t('chains.only', {id: job}));
// A job that ends starts the next one a moment later.
const later = settled(() => chains.refresh(), 900);
Promise.all([chains.reset(), $('form') && choices()]).then(ready, error => toast(error.message));
live(message => { showRunning(message.counts); if (message.d?.length) later(); }, later);
