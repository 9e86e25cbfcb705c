// Notifications: whom to tell, a way to try it, and what was told.
import {$, all, html, icon, say, toast} from './dom.js';
import {api, query} from './api.js';
import {live, ready} from './live.js';
import {showRunning} from './shell.js';
import {act, button, forget, onSave} from './workflow.js';
import {Growing} from './growing.js';
import {millis, minute, num, t} from './text.js';

/** Milliseconds between two looks: what was told shows up without a reload. */
const EVERY = 15000;
const LOOK = {waiting: 'pending', sent: 'done', failed: 'failed'};
const path = name => '/notifications/' + encodeURIComponent(name);
const chip = state => html`<span class="chip" data-s="${LOOK[state]}">${icon('s-' + LOOK[state], 14)}${t('notifications.' + state)}</span>`;
const at = one => minute(millis(one.endedAt ?? one.retryAt ?? one.createdAt));
let state = '';

const listed = new Growing('rows', {
  ask: async () => ({rows: (await api('/notifications', {quiet: true})).notifications, cursor: null}),
  row: one => {
    const turn = one.enabled ? button('disable', one.name, t('schedules.disable'), 'i-pause') : button('enable', one.name, t('schedules.enable'), 'i-clone');
    return html`<tr><td class="strong">${one.name}</td><td>${one.to}</td><td class="wrap">${one.events.map(event => t('notifications.on_' + event)).join(', ')}</td>
      <td><span class="chip" data-s="${one.enabled ? 'good' : ''}">${icon(one.enabled ? 's-done' : 's-paused', 14)}${t(one.enabled ? 'notifications.enabled' : 'schedules.off')}</span></td>
      <td>${one.last ? html`${chip(one.last.state)} ${at(one.last)}` : '–'}</td>
      <td><span class="acts">${button('test', one.name, t('notifications.test'), 'i-start')}${turn}${button('remove', one.name, t('workflow.remove'), 'i-cancel')}</span></td></tr>`;
  },
  none: () => html`<div>${t('notifications.none')}</div>`,
});

const told = new Growing('told', {
  ask: async cursor => {
    const page = await api('/notifications/deliveries?' + query({state, cursor, limit: 20}), {quiet: true});
    return {rows: page.deliveries, cursor: page.cursor};
  },
  row: one => html`<tr><td>${at(one)}</td><td class="strong">${one.notification ?? t('notifications.gone')}</td><td>${t('notifications.on_' + one.event)}</td><td><a class="link" href="/jobs/${one.job}">#${one.job}</a></td>
    <td>${chip(one.state)}</td><td class="n">${num(one.attempts)}</td><td class="wrap">${one.error}</td></tr>`,
  none: () => html`<div>${t(state ? 'notifications.told_none' : 'notifications.told_nothing')}</div>`,
});

/** Say at once whether an address hears us. */
async function test(name) {
  const said = await api(path(name) + '/test', {method: 'POST'});
  toast(said.delivered ? t('notifications.test_ok', {name}) : t('notifications.test_bad', {name, x: said.error}));
}

act($('rows'), {
  test,
  enable: name => api(path(name) + '/enable', {method: 'POST'}),
  disable: name => api(path(name) + '/disable', {method: 'POST'}),
  remove: name => forget(path(name), t('notifications.remove_ask', {name})),
}, () => listed.reset());

$('states').addEventListener('click', event => {
  const tab = event.target.closest('button');
  if (!tab) return;
  state = tab.value;
  all('button', $('states')).forEach(one => one.setAttribute('aria-pressed', one === tab));
  told.reset();
});

if ($('form')) {
  onSave($('form'), data => {
    $('secret').hidden = true;
    const body = {name: data.get('name').trim(), url: data.get('url').trim(), events: data.getAll('events')};
    return api('/notifications', {body, quiet: true});
  }, async made => {
    $('url').value = '';
    if (made.secret) {
      say($('secret-text'), made.secret);
      $('secret').hidden = false;
      $('secret').focus();
    }
    await listed.reset();
  });
  $('secret-copy').addEventListener('click', async () => {
    await navigator.clipboard.writeText($('secret-text').textContent);
    toast(t('plan.copied'));
  });
}

const refresh = () => { listed.refresh(); told.refresh(); };
Promise.all([listed.reset(), told.reset()]).then(ready);
live(message => showRunning(message.counts), refresh);
setInterval(() => document.hidden || refresh(), EVERY);
