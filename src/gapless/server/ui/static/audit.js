// The audit: who did what to whom and why; and whether the chain of digests still holds.
import {$, html, icon, put, say} from './dom.js';
import {api, query} from './api.js';
import {live, ready} from './live.js';
import {showRunning} from './shell.js';
import {settled} from './keys.js';
import {Growing} from './growing.js';
import {millis, num, t} from './text.js';

const FILTERS = ['actor', 'action', 'subject'];
const asked = new URLSearchParams(location.search);
FILTERS.forEach(name => { $(name).value = asked.get(name) ?? ''; });
const filter = () => Object.fromEntries(FILTERS.map(name => [name, $(name).value.trim()]));

const second = at => new Date(millis(at)).toISOString().slice(0, 19).replace('T', ' ');
const subject = text => (/^job\/\d+$/.test(text) ? html`<a class="link" href="/jobs/${text.slice(4)}">${text}</a>` : text);

const entries = new Growing('rows', {
  ask: async cursor => {
    const page = await api('/audit?' + query({...filter(), cursor, limit: 50}), {quiet: true});
    return {rows: page.entries, cursor: page.cursor};
  },
  row: one => html`<tr><td>${second(one.at)}</td><td class="strong">${one.actor} <span class="mut small">${one.via}</span></td><td><code>${one.action}</code></td><td>${subject(one.subject)}</td>
    <td class="wrap">${one.before && one.before + ' → '}${one.after}</td><td class="wrap">${one.reason}</td><td title="${one.digest ?? ''}">${one.place === null ? t('audit.waits') : '#' + num(one.place)}</td></tr>`,
  none: () => html`<div>${t('audit.none')}</div>`,
});

function show() {
  const words = query(filter());
  history.replaceState(null, '', words ? '?' + words : location.pathname);
  return entries.reset();
}

/** The same as `gapless audit verify`. */
async function verify() {
  $('verify').disabled = true;
  put($('holds'), html`<span class="chip">${t('audit.walking')}</span>`);
  try {
    const found = await api('/audit/verify', {quiet: true});
    const [look, word] = found.holds ? ['done', 'audit.holds'] : ['failed', 'audit.broken'];
    put($('holds'), html`<span class="chip" data-s="${look}">${icon('s-' + look, 14)}${t(word)}</span>`);
    say($('chain'), found.holds ? t('audit.holds_sub', {n: num(found.entries)}) : found.trouble);
    say($('digest'), found.digest);
    $('digest').hidden = !found.digest;
  } catch (error) {
    put($('holds'), html`<span class="chip" data-s="warn">${icon('s-incomplete', 14)}${t('audit.unknown')}</span>`);
    say($('chain'), error.message);
  } finally {
    $('verify').disabled = false;
  }
}

$('verify').addEventListener('click', verify);
$('filter').addEventListener('input', settled(show));
$('filter').addEventListener('submit', event => { event.preventDefault(); show(); });

show().then(ready);
verify();
live(message => showRunning(message.counts), () => entries.refresh());
