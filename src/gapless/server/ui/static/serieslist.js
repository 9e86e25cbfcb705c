// Everything that is stored, by name.
import {$, html, put, say, toast} from './dom.js';
import {api, query} from './api.js';
import {live, ready} from './live.js';
import {showRunning} from './shell.js';
import {settled} from './keys.js';
import {day, millis, num, t} from './text.js';

const MOST = 200;
const asked = new URLSearchParams(location.search);
$('q').value = asked.get('q') ?? '';
$('dataset').value = asked.get('dataset') ?? '';

async function load() {
  const filter = {q: $('q').value.trim(), dataset: $('dataset').value};
  const words = query(filter);
  history.replaceState(null, '', words ? '?' + words : location.pathname);
  const page = await api('/series?' + query({...filter, limit: MOST}));
  say($('range'), page.total ? t('table.range', {a: 1, b: num(page.series.length), n: num(page.total)}) : '');
  const isFiltered = filter.q || filter.dataset;
  put($('rows'), page.series.length ? html`${page.series.map(row)}` : html`<tr><td colspan="5" class="none">
    <div>${t(isFiltered ? 'series.none' : 'series.empty')}</div>${!isFiltered && html`<a class="btn pri" href="/new">${t('new.title')}</a>`}</td></tr>`);
}

const row = one => html`<tr><td><a class="link" href="/series/${one.dataset}/${one.series}">${one.series}</a></td><td>${one.dataset}</td>
  <td>${one.start ? day(millis(one.start)) : '–'}</td><td>${one.end ? day(millis(one.end)) : '–'}</td><td class="n">${one.rows === undefined || one.rows === null ? '–' : num(one.rows)}</td></tr>`;

const later = settled(() => load().catch(error => toast(error.message)));
$('q').addEventListener('input', later);
$('dataset').addEventListener('change', later);
load().then(ready, error => toast(error.message));
live(message => showRunning(message.counts), later);
