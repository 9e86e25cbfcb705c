// Language, theme, candle colours, the password, and tokens for programs.
import {$, all, confirmed, html, put, say, toast} from './dom.js';
import {api} from './api.js';
import {live, ready} from './live.js';
import {showRunning} from './shell.js';
import {remember, setCandles, setTheme} from './theme.js';
import {millis, minute, t} from './text.js';

const choices = {
  theme: setTheme,
  candles: setCandles,
  language: value => { remember('lang', value); location.assign('/settings'); },
};
for (const [name, set] of Object.entries(choices)) {
  all(`input[name=${name}]`).forEach(input => input.addEventListener('change', () => set(input.value)));
}

async function tokens() {
  const list = (await api('/tokens')).tokens.filter(one => !one.revokedAt);
  put($('tokens'), list.length ? html`${list.map(one => html`<tr><td class="strong">${one.name}</td><td>${t('role.' + one.role)}</td><td>${minute(millis(one.createdAt))}</td>
    <td>${one.usedAt ? minute(millis(one.usedAt)) : t('settings.never')}</td><td class="n"><button class="btn sm dng" data-id="${one.id}" aria-label="${t('settings.revoke')}: ${one.name}">${t('settings.revoke')}</button></td></tr>`)}`
    : html`<tr><td colspan="5" class="mut">${t('settings.no_tokens')}</td></tr>`);
}

$('tokens').addEventListener('click', async event => {
  const id = event.target.closest('[data-id]')?.dataset.id;
  if (!id || !await confirmed(t('settings.revoke_ask'), t('settings.revoke'), t('confirm.no'))) return;
  await api(`/tokens/${id}`, {method: 'DELETE'});
  await tokens();
});

$('token-form').addEventListener('submit', async event => {
  event.preventDefault();
  const data = new FormData(event.target);
  const made = await api('/tokens', {body: {name: data.get('name').trim(), role: data.get('role')}}).catch(() => null);
  if (!made) return;
  event.target.reset();
  $('secret').hidden = false;
  say($('secret-text'), made.token);
  $('secret').focus();
  await tokens();
});
$('secret-copy').addEventListener('click', async () => {
  await navigator.clipboard.writeText($('secret-text').textContent);
  toast(t('plan.copied'));
});

$('password-form').addEventListener('submit', async event => {
  event.preventDefault();
  const data = new FormData(event.target);
  const done = await api('/session/password', {method: 'PUT', body: {old: data.get('old'), new: data.get('new')}}).catch(() => null);
  if (!done) return;
  event.target.reset();
  toast(t('settings.password_done'));
});

tokens().then(ready, ready);
live(message => showRunning(message.counts));
